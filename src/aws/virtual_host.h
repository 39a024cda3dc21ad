// S3's virtual-hosted style: the bucket in the Host header.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
#pragma once

#include <string>
#include <string_view>

namespace bastide::aws {

// "photos" of photos.s3.localhost, photos.s3.eu-west-1.amazonaws.com, photos.localhost; empty for path style.
std::string virtual_bucket(std::string_view host);
// "photos" of photos.s3-website.localhost, photos.s3-website-eu-west-1.amazonaws.com; empty for others.
std::string website_bucket(std::string_view host);

}  // namespace bastide::aws
