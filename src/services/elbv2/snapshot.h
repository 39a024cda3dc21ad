// Compiles the load balancers of all accounts into what the edge routes by.
#pragma once

#include "base/result.h"
#include "internal/edge.h"
#include "services/elbv2/certificates.h"
#include "store/database.h"

namespace bastide::services {

// Number 0: whoever sends it numbers it. Waits (certificates are issued).
Result<internal::EdgeSnapshot> compile_snapshot(store::Database& database, LocalCertificates& local,
                                                CertificateSource* source);

}  // namespace bastide::services
