#include "router/state/inspect.hpp"

#include "router/state/rows.hpp"
#include "router/state/schema.hpp"

namespace eventyard::router {

Result<StateMarks> inspect_state(Disk& disk, const std::string& path)
{
    EVENTYARD_CHECK(check_header(disk, path));
    EVENTYARD_TRY(database, open_state_file(path, true));
    StateMarks marks;
    EVENTYARD_TRY(version, database.ask("PRAGMA user_version"));
    marks.format = std::stoi(version);
    EVENTYARD_CHECK(check_schema(database, marks.format));
    EVENTYARD_TRY(row, Statement::prepare(database, marks.format == 1
                                                        ? "SELECT store, reserved, synced, routed_through, 0 FROM meta"
                                                        : "SELECT store, reserved, synced, routed_through,"
                                                          " counted_through FROM meta"));
    EVENTYARD_TRY(there, row.step());
    if (!there) return fail(Errc::corrupt, "state.db names no journal");
    marks.store = to_id(row.view(0));
    marks.reserved = row.natural(1);
    marks.synced = row.natural(2);
    marks.routed_through = row.natural(3);
    marks.counted_through = row.natural(4);
    return marks;
}

}  // namespace eventyard::router
