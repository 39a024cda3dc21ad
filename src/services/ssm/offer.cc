// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
#include "aws/arn.h"
#include "services/ssm/ssm.h"

namespace bastide::services {

namespace op = model::ssm::op;

void Ssm::offer(aws::Registry& registry) {
  using aws::Call;
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto by_name = [this](const Call& call, const auto& q) -> Targets {
    return std::vector<Target>{target(call, q.name)};
  };
  auto by_names = [this](const Call& call, const auto& q) -> Targets {
    std::vector<Target> out;
    for (const auto& name : q.names) out.push_back(target(call, name));
    return out;
  };
  auto by_resource = [this](const Call& call, const auto& q) -> Targets {
    return std::vector<Target>{target(call, q.resource_id)};
  };
  registry.add<op::PutParameter>(this, &Ssm::put_parameter,
                                 {"ssm:PutParameter", [this](auto& call, auto& q) -> Targets {
                                    auto t = target(call, q.name);
                                    t.context.emplace_back("ssm:Overwrite",
                                                           q.overwrite.value_or(false) ? "true" : "false");
                                    if (q.policies) t.context.emplace_back("ssm:Policies", *q.policies);
                                    std::vector<Target> out;
                                    if (q.tags && !q.tags->empty()) {
                                      Target tagging = target(call, q.name, "ssm:AddTagsToResource");
                                      for (const auto& tag : *q.tags) {
                                        for (Target* each : {&t, &tagging}) {
                                          each->context.emplace_back("aws:RequestTag/" + tag.key, tag.value);
                                          each->context.emplace_back("aws:TagKeys", tag.key);
                                        }
                                      }
                                      out.push_back(std::move(tagging));
                                    }
                                    out.insert(out.begin(), std::move(t));
                                    return out;
                                  }});
  registry.add<op::GetParameter>(this, &Ssm::get_parameter, {"ssm:GetParameter", by_name});
  registry.add<op::GetParameters>(this, &Ssm::get_parameters, {"ssm:GetParameters", by_names});
  registry.add<op::GetParameterHistory>(this, &Ssm::history, {"ssm:GetParameterHistory", by_name});
  registry.add<op::GetParametersByPath>(
      this, &Ssm::by_path, {"ssm:GetParametersByPath", [](auto& call, auto& q) -> Targets {
                              Target t;
                              std::string path = q.path.starts_with("arn:") ? "/" : q.path;
                              while (path.size() > 1 && path.ends_with('/')) path.pop_back();
                              t.resource = q.path.starts_with("arn:")
                                               ? q.path
                                               : ssm::parameter_arn(call.region, call.account, path);
                              t.context = {{"ssm:Recursive", q.recursive.value_or(false) ? "true" : "false"}};
                              return std::vector<Target>{std::move(t)};
                            }});
  registry.add<op::DescribeParameters>(this, &Ssm::describe,
                                       {"ssm:DescribeParameters", [](auto& call, auto&) -> Targets {
                                          Target t;
                                          t.resource = aws::make_arn("ssm", call.region, call.account, "*");
                                          return std::vector<Target>{std::move(t)};
                                        }});
  registry.add<op::DeleteParameter>(this, &Ssm::delete_parameter, {"ssm:DeleteParameter", by_name});
  registry.add<op::DeleteParameters>(this, &Ssm::delete_parameters, {"ssm:DeleteParameters", by_names});
  registry.add<op::LabelParameterVersion>(this, &Ssm::label, {"ssm:LabelParameterVersion", by_name});
  registry.add<op::UnlabelParameterVersion>(this, &Ssm::unlabel, {"ssm:UnlabelParameterVersion", by_name});
  registry.add<op::AddTagsToResource>(this, &Ssm::add_tags,
                                      {"ssm:AddTagsToResource", [this](auto& call, auto& q) -> Targets {
                                         auto t = target(call, q.resource_id);
                                         for (const auto& tag : q.tags) {
                                           t.context.emplace_back("aws:RequestTag/" + tag.key, tag.value);
                                           t.context.emplace_back("aws:TagKeys", tag.key);
                                         }
                                         return std::vector<Target>{std::move(t)};
                                       }});
  registry.add<op::RemoveTagsFromResource>(
      this, &Ssm::remove_tags, {"ssm:RemoveTagsFromResource", [this](auto& call, auto& q) -> Targets {
                                  auto t = target(call, q.resource_id);
                                  for (const auto& key : q.tag_keys)
                                    t.context.emplace_back("aws:TagKeys", key);
                                  return std::vector<Target>{std::move(t)};
                                }});
  registry.add<op::ListTagsForResource>(this, &Ssm::list_tags, {"ssm:ListTagsForResource", by_resource});
}

}  // namespace bastide::services
