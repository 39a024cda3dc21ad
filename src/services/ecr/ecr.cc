#include "services/ecr/ecr.h"

#include "services/ecr/rules.h"

namespace bastide::services {

namespace op = model::ecr::op;

Ecr::Ecr(store::Database& database, store::Blobs& blobs, store::Keyring& keyring, Clock& clock)
    : database_(database), blobs_(blobs), keyring_(keyring), clock_(clock), images_(database, blobs, clock) {}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
void Ecr::offer(aws::Registry& registry) {
  const ecr::Rules rules{database_};
  registry.add<op::GetAuthorizationToken>(this, &Ecr::get_authorization_token, {"ecr:GetAuthorizationToken"});
  registry.add<op::CreateRepository>(this, &Ecr::create_repository, rules.create());
  registry.add<op::DescribeRepositories>(this, &Ecr::describe_repositories, rules.describe());
  registry.add<op::DeleteRepository>(this, &Ecr::delete_repository,
                                     rules.of<op::DeleteRepository>("ecr:DeleteRepository"));
  registry.add<op::PutImageTagMutability>(this, &Ecr::put_image_tag_mutability,
                                          rules.of<op::PutImageTagMutability>("ecr:PutImageTagMutability"));
  registry.add<op::SetRepositoryPolicy>(this, &Ecr::set_repository_policy,
                                        rules.of<op::SetRepositoryPolicy>("ecr:SetRepositoryPolicy"));
  registry.add<op::GetRepositoryPolicy>(this, &Ecr::get_repository_policy,
                                        rules.of<op::GetRepositoryPolicy>("ecr:GetRepositoryPolicy"));
  registry.add<op::DeleteRepositoryPolicy>(
      this, &Ecr::delete_repository_policy,
      rules.of<op::DeleteRepositoryPolicy>("ecr:DeleteRepositoryPolicy"));
  registry.add<op::TagResource>(this, &Ecr::tag_resource, rules.by_arn<op::TagResource>("ecr:TagResource"));
  registry.add<op::UntagResource>(this, &Ecr::untag_resource,
                                  rules.by_arn<op::UntagResource>("ecr:UntagResource"));
  registry.add<op::ListTagsForResource>(this, &Ecr::list_tags_for_resource,
                                        rules.by_arn<op::ListTagsForResource>("ecr:ListTagsForResource"));
  registry.add<op::PutImage>(this, &Ecr::put_image, rules.of<op::PutImage>("ecr:PutImage"));
  registry.add<op::BatchGetImage>(this, &Ecr::batch_get_image,
                                  rules.of<op::BatchGetImage>("ecr:BatchGetImage"));
  registry.add<op::BatchDeleteImage>(this, &Ecr::batch_delete_image,
                                     rules.of<op::BatchDeleteImage>("ecr:BatchDeleteImage"));
  registry.add<op::DescribeImages>(this, &Ecr::describe_images,
                                   rules.of<op::DescribeImages>("ecr:DescribeImages"));
  registry.add<op::ListImages>(this, &Ecr::list_images, rules.of<op::ListImages>("ecr:ListImages"));
  registry.add<op::BatchCheckLayerAvailability>(
      this, &Ecr::batch_check_layer_availability,
      rules.of<op::BatchCheckLayerAvailability>("ecr:BatchCheckLayerAvailability"));
  registry.add<op::InitiateLayerUpload>(this, &Ecr::initiate_layer_upload,
                                        rules.of<op::InitiateLayerUpload>("ecr:InitiateLayerUpload"));
  registry.add<op::UploadLayerPart>(this, &Ecr::upload_layer_part,
                                    rules.of<op::UploadLayerPart>("ecr:UploadLayerPart"));
  registry.add<op::CompleteLayerUpload>(this, &Ecr::complete_layer_upload,
                                        rules.of<op::CompleteLayerUpload>("ecr:CompleteLayerUpload"));
  registry.add<op::GetDownloadUrlForLayer>(
      this, &Ecr::get_download_url_for_layer,
      rules.of<op::GetDownloadUrlForLayer>("ecr:GetDownloadUrlForLayer"));
}

Result<void> Ecr::start() {
  database_.run_jobs("ecr.uploads", [this](store::Job&) -> Result<std::optional<Millis>> {
    TRY(images_.expire_uploads());
    return std::optional<Millis>(kHour);
  });
  return database_.write([this](store::Writer& w) {
    return w.enqueue("ecr.uploads", "all", json::object(), clock_.wall() + kMinute);
  });
}

}  // namespace bastide::services
