// Amazon ECR: repositories, images and layers of every account, over store::Blobs. The other door to the same
// images is distribution.h.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html
#pragma once

#include "aws/service.h"
#include "gen/ecr.h"
#include "services/ecr/image_store.h"
#include "store/blobs.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

class Ecr {
 public:
  Ecr(store::Database& database, store::Blobs& blobs, store::Keyring& keyring, Clock& clock);
  void offer(aws::Registry& registry);
  // Registers the job that drops forgotten uploads; on control's loop, once.
  Result<void> start();

  ecr::ImageStore& images() { return images_; }
  store::Database& database() { return database_; }
  store::Keyring& keyring() { return keyring_; }

 private:
  template <class T>
  using R = Result<T>;
  using Call = aws::Call;

  R<model::ecr::CreateRepositoryResponse> create_repository(Call&,
                                                            const model::ecr::CreateRepositoryRequest&);
  R<model::ecr::DescribeRepositoriesResponse> describe_repositories(
      Call&, const model::ecr::DescribeRepositoriesRequest&);
  R<model::ecr::DeleteRepositoryResponse> delete_repository(Call&,
                                                            const model::ecr::DeleteRepositoryRequest&);
  R<model::ecr::PutImageTagMutabilityResponse> put_image_tag_mutability(
      Call&, const model::ecr::PutImageTagMutabilityRequest&);
  R<model::ecr::SetRepositoryPolicyResponse> set_repository_policy(
      Call&, const model::ecr::SetRepositoryPolicyRequest&);
  R<model::ecr::GetRepositoryPolicyResponse> get_repository_policy(
      Call&, const model::ecr::GetRepositoryPolicyRequest&);
  R<model::ecr::DeleteRepositoryPolicyResponse> delete_repository_policy(
      Call&, const model::ecr::DeleteRepositoryPolicyRequest&);
  R<model::ecr::TagResourceResponse> tag_resource(Call&, const model::ecr::TagResourceRequest&);
  R<model::ecr::UntagResourceResponse> untag_resource(Call&, const model::ecr::UntagResourceRequest&);
  R<model::ecr::ListTagsForResourceResponse> list_tags_for_resource(
      Call&, const model::ecr::ListTagsForResourceRequest&);
  R<model::ecr::GetAuthorizationTokenResponse> get_authorization_token(
      Call&, const model::ecr::GetAuthorizationTokenRequest&);

  R<model::ecr::PutImageResponse> put_image(Call&, const model::ecr::PutImageRequest&);
  R<model::ecr::BatchGetImageResponse> batch_get_image(Call&, const model::ecr::BatchGetImageRequest&);
  R<model::ecr::BatchDeleteImageResponse> batch_delete_image(Call&,
                                                             const model::ecr::BatchDeleteImageRequest&);
  R<model::ecr::DescribeImagesResponse> describe_images(Call&, const model::ecr::DescribeImagesRequest&);
  R<model::ecr::ListImagesResponse> list_images(Call&, const model::ecr::ListImagesRequest&);

  R<model::ecr::BatchCheckLayerAvailabilityResponse> batch_check_layer_availability(
      Call&, const model::ecr::BatchCheckLayerAvailabilityRequest&);
  R<model::ecr::InitiateLayerUploadResponse> initiate_layer_upload(
      Call&, const model::ecr::InitiateLayerUploadRequest&);
  R<model::ecr::UploadLayerPartResponse> upload_layer_part(Call&, const model::ecr::UploadLayerPartRequest&);
  R<model::ecr::CompleteLayerUploadResponse> complete_layer_upload(
      Call&, const model::ecr::CompleteLayerUploadRequest&);
  R<model::ecr::GetDownloadUrlForLayerResponse> get_download_url_for_layer(
      Call&, const model::ecr::GetDownloadUrlForLayerRequest&);

  store::Database& database_;
  store::Blobs& blobs_;
  store::Keyring& keyring_;
  Clock& clock_;
  ecr::ImageStore images_;
};

namespace ecr {

template <class Request>
RepositoryRef ref_of(const aws::Call& call, const Request& request) {
  return {request.registry_id ? *request.registry_id : call.account, call.region, request.repository_name};
}

model::ecr::Repository describe(const Repository& repository, const std::string& endpoint);

}  // namespace ecr
}  // namespace bastide::services
