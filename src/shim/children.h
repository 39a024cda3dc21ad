// Ends every descendant: of a subreaper, whose orphans come back to it.
#pragma once

namespace bastide::shim {
void end_children();  // SIGKILL to each until none is left; waits at most a few seconds
}
