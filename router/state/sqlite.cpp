#include "router/state/sqlite.hpp"

#include <cerrno>

namespace eventyard::router {
namespace {

Error to_error(sqlite3* connection, int code, const char* doing)
{
    Errc kind = Errc::io;
    switch (code & 0xff) {
        case SQLITE_FULL:
            kind = Errc::no_space;
            break;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            kind = Errc::corrupt;
            break;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            kind = Errc::conflict;
            break;
        case SQLITE_IOERR: {
            const int cause = connection != nullptr ? sqlite3_system_errno(connection) : 0;
            if (code == SQLITE_IOERR_DATA || code == SQLITE_IOERR_SHORT_READ) kind = Errc::corrupt;
            else if (cause == ENOSPC || cause == EDQUOT)
                kind = Errc::no_space;
            break;
        }
        default:
            break;
    }
    const char* const why = code == SQLITE_IOERR_DATA ? "a page fails its checksum"
                            : connection != nullptr   ? sqlite3_errmsg(connection)
                                                      : sqlite3_errstr(code);
    return fail(kind, std::string("state: ") + doing + ": " + why + " (SQLite " +
                          std::to_string(code) + ")");
}

}  // namespace

Database& Database::operator=(Database&& other) noexcept
{
    if (this != &other) {
        close();
        handle_ = other.handle_;
        other.handle_ = nullptr;
    }
    return *this;
}

Result<Database> Database::open(const std::string& path, int flags, const char* vfs)
{
    Database database;
    const int code = sqlite3_open_v2(path.c_str(), &database.handle_,
                                     flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
    if (code != SQLITE_OK) return database.error(code, ("open '" + path + "'").c_str());
    return database;
}

void Database::close() noexcept
{
    sqlite3_close_v2(handle_);
    handle_ = nullptr;
}

Error Database::error(int code, const char* doing) const
{
    return to_error(handle_, code, doing);
}

Result<void> Database::run(const char* sql)
{
    const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return error(code, sql);
    return {};
}

Result<std::string> Database::ask(const char* sql)
{
    EVENTYARD_TRY(statement, Statement::prepare(*this, sql));
    EVENTYARD_TRY(row, statement.step());
    return row ? statement.text(0) : std::string();
}

Statement& Statement::operator=(Statement&& other) noexcept
{
    if (this != &other) {
        sqlite3_finalize(handle_);
        handle_ = std::exchange(other.handle_, nullptr);
        database_ = other.database_;
        later_ = std::move(other.later_);
    }
    return *this;
}

Statement Statement::later(const Database& database, std::string sql)
{
    Statement statement;
    statement.database_ = &database;
    statement.later_ = std::move(sql);
    return statement;
}

int Statement::prepare_now() noexcept
{
    if (database_ == nullptr) return SQLITE_MISUSE;
    return sqlite3_prepare_v3(database_->handle(), later_.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
}

Result<Statement> Statement::prepare(const Database& database, const char* sql)
{
    Statement statement;
    const int code = sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT,
                                        &statement.handle_, nullptr);
    if (code != SQLITE_OK) return database.error(code, sql);
    return statement;
}

Result<bool> Statement::step()
{
    if (handle_ == nullptr) {
        const int tried = std::exchange(failed_, SQLITE_OK);  // what bind() bound then is bound to nothing
        if (const int code = tried != SQLITE_OK ? tried : prepare_now(); code != SQLITE_OK)
            return database_ != nullptr ? database_->error(code, later_.c_str()) : fail(Errc::invalid, "a statement without a text");
    }
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        sqlite3_reset(handle_);
        return false;
    }
    Error error = to_error(sqlite3_db_handle(handle_), code, sqlite3_sql(handle_));
    sqlite3_reset(handle_);
    return error;
}

Result<void> Statement::run()
{
    EVENTYARD_TRY(row, step());
    if (row) sqlite3_reset(handle_);
    return {};
}

std::string_view Statement::view(int column) const noexcept
{
    const void* const bytes = sqlite3_column_blob(handle_, column);
    if (bytes == nullptr) return {};
    return {static_cast<const char*>(bytes),
            static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

}  // namespace eventyard::router
