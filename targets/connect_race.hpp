// targets/connect_race.hpp — one TCP connection to whichever of a name's addresses answers first (RFC 8305).
//
// Addresses are tried in turn, the families alternating; the next one starts when one fails, or after a
// quarter of a second of silence, beside those before it. The first that connects is kept, the others are
// closed. So a silent address costs a quarter of a second, not its share of the time limit. Lives on one I/O thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "targets/connection.hpp"
#include "targets/resolver.hpp"

namespace eventyard::targets {

class ConnectRace {
public:
    using Peer = boost::asio::ip::tcp::endpoint;
    using Make = std::function<std::shared_ptr<Connection>()>;
    struct Failed {
        Peer peer;
        ErrorCode error;
    };

    static constexpr std::size_t peers_max = 8;  // each may hold a socket until the attempt's limit
    static constexpr Duration head_start = std::chrono::milliseconds{250};

    ConnectRace(boost::asio::io_context& io, Make make);

    /// The winner, with its address in `peer`; null: all failed, or abort() was called.
    /// @param peers  at least one, in the order of the resolver. Once a race.
    Task<std::shared_ptr<Connection>> run(Endpoints peers, Peer& peer);
    /// Those that answered with an error, in that order.
    [[nodiscard]] std::vector<Failed> failed() const;
    /// Ends run(); also from a timer's handler, also when nothing runs.
    void abort();

private:
    struct Shared;
    static Task<void> connect(std::shared_ptr<Shared> shared, std::shared_ptr<Connection> connection, Peer peer);

    boost::asio::io_context& io_;
    Make make_;
    std::shared_ptr<Shared> shared_;  // with the attempts that still run
};

/// The families in turns, each in its order, the first one's first.
[[nodiscard]] Endpoints interleaved(const Endpoints& peers);

}  // namespace eventyard::targets
