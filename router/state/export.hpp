// router/state/export.hpp — a consistent copy of the state in small steps, by SQLite's backup API.
//
// Between the steps the owner goes on writing through the same connection; SQLite carries those
// changes over. The copy is an ordinary database file without a log, with a checksum in every page, so
// that it can take the place of state.db.
#pragma once

#include <memory>
#include <string>

#include "router/state/sqlite.hpp"

namespace eventyard::router {

class Export {
public:
    /// `path` must not exist; the copy is made beside it and renamed at the end.
    /// @param source  must outlive this and have no transaction open during step()
    static Result<std::unique_ptr<Export>> start(Database& source, const std::string& path);
    Export(const Export&) = delete;
    Export& operator=(const Export&) = delete;
    /// Removes an unfinished copy.
    ~Export();
    /// True: the copy is complete and durable.
    Result<bool> step(int pages);

private:
    Export() = default;
    Result<void> finish();

    std::string path_, temp_;
    Database copy_;
    sqlite3_backup* backup_ = nullptr;
};

}  // namespace eventyard::router
