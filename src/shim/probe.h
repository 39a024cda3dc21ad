// `bastide-shim probe HOST-FILE PORT`: run by runner as a container of its own at start. It tries to do what
// the container must not, and prints what it found, one "name=yes|no" a line: yes where the limit held.
#pragma once

namespace bastide::shim {
int probe(const char* host_file, const char* host_port);
}
