// The web console's files under /console/, built into the binary. The page is an ordinary AWS client of the
// API on the same port: nothing here knows who is signed in.
#pragma once

#include "net/http_server.h"

namespace bastide::console {

void handle(net::Exchange& exchange);

}  // namespace bastide::console
