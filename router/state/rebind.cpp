#include "router/state/rebind.hpp"

#include "router/state/state.hpp"
#include "router/state/store.hpp"

namespace eventyard::router {

Result<void> rebind_state(Disk& disk, const Clock& clock, const std::string& path, const Id& store)
{
    {
        EVENTYARD_TRY(state, State::open(disk, clock, {.path = path}));
        const StateReport report = state->report();
        state->stop();
        if (report.set_aside) return fail(Errc::corrupt, "'" + path + "' is damaged: " + report.why);
        if (report.created) return fail(Errc::not_found, "there is no '" + path + "'");
    }
    EVENTYARD_TRY(opened, Store::open(disk, path));
    EVENTYARD_CHECK(opened->set_store(store));
    EVENTYARD_TRY(all, opened->checkpoint(true));
    if (!all) return fail(Errc::conflict, "another process has '" + path + "' open");
    return {};
}

}  // namespace eventyard::router
