// Connecting a socket that is there already: one that was made in another network namespace, say.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "net/socket.h"
#include "sys/fd.h"

namespace bastide::net {

// `fd`: a fresh, non-blocking TCP socket of the address's family. `address`: an IP literal. Waits.
Result<Socket> connect_from(sys::Fd fd, const std::string& address, uint16_t port, Millis timeout);

}  // namespace bastide::net
