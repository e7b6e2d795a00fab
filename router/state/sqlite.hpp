// router/state/sqlite.hpp — a database connection and prepared statements that clean up themselves.
//
// Errors become Result: corrupt (also a page that fails its checksum), no_space, conflict (another
// process holds the file), otherwise io. One thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.hpp"
#include "core/time.hpp"

namespace eventyard::router {

/// Bytes, to be bound as BLOB; plain strings are bound as TEXT.
struct Blob {
    std::string_view bytes;
};

class Database {
public:
    Database() = default;
    Database(Database&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
    Database& operator=(Database&& other) noexcept;
    ~Database() { close(); }

    /// @param vfs  nullptr: the default one
    static Result<Database> open(const std::string& path, int flags, const char* vfs);
    void close() noexcept;

    Result<void> run(const char* sql);
    /// The first column of the first row as text; empty when there is no row.
    Result<std::string> ask(const char* sql);
    /// The current error as an Error; `doing` says what failed.
    [[nodiscard]] Error error(int code, const char* doing) const;
    [[nodiscard]] std::int64_t changes() const noexcept { return sqlite3_changes(handle_); }
    [[nodiscard]] bool in_transaction() const noexcept
    {
        return sqlite3_get_autocommit(handle_) == 0;
    }
    [[nodiscard]] sqlite3* handle() const noexcept { return handle_; }

private:
    sqlite3* handle_ = nullptr;
};

/// Prepared once, used often. What is bound must live until the next reset (bind, run, done).
class Statement {
public:
    Statement() = default;
    Statement(Statement&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)), database_(other.database_), later_(std::move(other.later_))
    {
    }
    Statement& operator=(Statement&& other) noexcept;
    ~Statement() { sqlite3_finalize(handle_); }

    static Result<Statement> prepare(const Database& database, const char* sql);
    /// Prepared when it is first used: of a store's statements most lives need few. `database` must outlive it and stay
    /// where it is. An error shows in step().
    static Statement later(const Database& database, std::string sql);

    /// Resets and binds all parameters in order.
    template <class... Values>
    Statement& bind(const Values&... values) noexcept
    {
        if (handle_ == nullptr) failed_ = prepare_now();
        sqlite3_reset(handle_);
        next_ = 1;
        (put(values), ...);
        return *this;
    }
    /// True: a row is there. After false or an error the statement is reset.
    Result<bool> step();
    /// Runs a statement that gives no rows and resets it.
    Result<void> run();
    [[nodiscard]] sqlite3_stmt* handle() const noexcept { return handle_; }
    /// Ends a read before its last row.
    void done() noexcept { sqlite3_reset(handle_); }

    [[nodiscard]] std::int64_t integer(int column) const noexcept
    {
        return sqlite3_column_int64(handle_, column);
    }
    [[nodiscard]] std::uint64_t natural(int column) const noexcept
    {
        return static_cast<std::uint64_t>(integer(column));
    }
    [[nodiscard]] WallTime time(int column) const noexcept
    {
        return WallTime{Duration{integer(column)}};
    }
    [[nodiscard]] bool is_null(int column) const noexcept
    {
        return sqlite3_column_type(handle_, column) == SQLITE_NULL;
    }
    /// TEXT or BLOB bytes, valid until the next step.
    [[nodiscard]] std::string_view view(int column) const noexcept;
    [[nodiscard]] std::string text(int column) const { return std::string(view(column)); }

private:
    int prepare_now() noexcept;
    void put(std::int64_t value) noexcept { sqlite3_bind_int64(handle_, next_++, value); }
    void put(std::uint64_t value) noexcept { put(static_cast<std::int64_t>(value)); }
    void put(std::uint32_t value) noexcept { put(static_cast<std::int64_t>(value)); }
    void put(int value) noexcept { put(static_cast<std::int64_t>(value)); }
    void put(WallTime value) noexcept
    {
        put(static_cast<std::int64_t>(value.time_since_epoch().count()));
    }
    void put(Duration value) noexcept { put(static_cast<std::int64_t>(value.count())); }
    void put(std::nullptr_t) noexcept { sqlite3_bind_null(handle_, next_++); }
    void put(std::string_view value) noexcept
    {
        sqlite3_bind_text64(handle_, next_++, value.data() != nullptr ? value.data() : "",
                            value.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    void put(Blob value) noexcept
    {
        sqlite3_bind_blob64(handle_, next_++,
                            value.bytes.data() != nullptr ? value.bytes.data() : "",
                            value.bytes.size(), SQLITE_STATIC);
    }

    sqlite3_stmt* handle_ = nullptr;
    const Database* database_ = nullptr;  // of later()
    std::string later_;                   // its text
    int failed_ = SQLITE_OK;              // bind() could not prepare it
    int next_ = 1;
};

}  // namespace eventyard::router
