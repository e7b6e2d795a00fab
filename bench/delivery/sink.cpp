// A counting receiver of webhooks, as cheap as one can be: bare epoll, one thread, many ports. Each port counts events
// (one for each due time in a body) and how long after its due time each came; after a reset only those due since then
// count for that, so what is old does not hide how the new ones fare.
//
//     bench_sink CONTROL_PORT PORT[:DELAY_MS|:hang|:fail] ...
//
// Ends on SIGTERM. The control port answers GET /stats with a JSON object by port, and GET /reset the same, then from zero.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <unordered_map>

#include "bench/delivery/wire.hpp"

using namespace eventyard::bench;

namespace {

struct Port {
    int number = 0;
    std::uint64_t delay = 0;  // nanoseconds before each answer
    bool hangs = false, controls = false;
    bool fails = false;  // all but each thousandth, lest a circuit breaker opens
    std::uint64_t requests = 0, events = 0, timed = 0, last = 0;
    std::uint64_t since = 0;  // due times before are not counted
    Times times;
};

struct Connection {
    int socket = -1;
    Port* port = nullptr;
    std::string text;
};

class Sink {
public:
    Sink() : poll_(::epoll_create1(EPOLL_CLOEXEC)) {}

    void listen(const std::string& asked, bool controls)
    {
        auto port = std::make_unique<Port>();
        port->number = std::atoi(asked.c_str());
        port->controls = controls;
        if (const auto colon = asked.find(':'); colon != std::string::npos) {
            port->hangs = asked.substr(colon + 1) == "hang";
            port->fails = asked.substr(colon + 1) == "fail";
            port->delay = static_cast<std::uint64_t>(std::atof(asked.c_str() + colon + 1) * 1e6);
        }
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const int on = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(static_cast<std::uint16_t>(port->number));
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(socket, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || ::listen(socket, 4096) != 0)
            throw std::runtime_error("cannot listen on port " + asked);
        watch(socket);
        listeners_[socket] = port.get();
        ports_.push_back(std::move(port));
    }

    [[noreturn]] void run()
    {
        epoll_event events[256];
        for (;;) {
            const std::uint64_t time = now();
            while (!later_.empty() && later_.begin()->first <= time) {
                const int socket = later_.begin()->second;
                later_.erase(later_.begin());
                if (connections_.count(socket) != 0) answer(socket, ok);
            }
            const int wait = later_.empty() ? -1 : static_cast<int>((later_.begin()->first - time) / 1'000'000 + 1);
            const int ready = ::epoll_wait(poll_, events, 256, wait);
            for (int i = 0; i < ready; ++i) {
                const auto listener = listeners_.find(events[i].data.fd);
                if (listener != listeners_.end()) accept(listener->first, listener->second);
                else read(events[i].data.fd);
            }
        }
    }

private:
    static constexpr std::string_view ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    static constexpr std::string_view failed = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

    void watch(int socket)
    {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = socket;
        ::epoll_ctl(poll_, EPOLL_CTL_ADD, socket, &event);
    }

    void accept(int listener, Port* port)
    {
        for (int socket; (socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
            const int on = 1;
            ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            connections_[socket] = {socket, port, {}};
            watch(socket);
        }
    }

    void read(int socket)
    {
        Connection& at = connections_.at(socket);
        static char bytes[1 << 16];
        const ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            connections_.erase(socket);
            ::close(socket);
            return;
        }
        if (got < 0) return;
        const std::uint64_t time = now();
        at.text.append(bytes, static_cast<std::size_t>(got));
        for (std::size_t head = 0, size = 0; (size = message_size(at.text, head)) != 0; at.text.erase(0, size)) {
            if (at.port->controls) {
                control(at, std::string_view(at.text).substr(0, head));
                continue;
            }
            take(*at.port, std::string_view(at.text).substr(head, size - head), time);
            if (at.port->hangs) continue;
            if (at.port->delay != 0) later_.emplace(time + at.port->delay, socket);
            else answer(socket, at.port->fails && at.port->requests % 1000 != 0 ? failed : ok);
        }
    }

    static void take(Port& port, std::string_view body, std::uint64_t time)
    {
        ++port.requests;
        port.last = time;
        for (auto at = body.find(due_mark); at != std::string_view::npos; at = body.find(due_mark, at + due_mark.size())) {
            ++port.events;
            const std::uint64_t due = read_due(body.data() + at + due_mark.size());
            if (due < port.since) continue;
            ++port.timed;
            port.times.add(time - std::min(time, due));
        }
    }

    void control(const Connection& at, std::string_view head)
    {
        std::string body = "{";
        for (const auto& port : ports_) {
            if (port->controls) continue;
            char line[256];
            std::snprintf(line, sizeof line, "%s\"%d\":{\"requests\":%lu,\"events\":%lu,\"timed\":%lu,\"last_ns\":%lu,\"p50_us\":%.1f,\"p99_us\":%.1f}",
                          body.size() > 1 ? "," : "", port->number, port->requests, port->events, port->timed, port->last, port->times.at(0.5), port->times.at(0.99));
            body += line;
            if (head.find("/reset") == std::string_view::npos) continue;
            port->requests = port->events = port->timed = 0;
            port->since = now();
            port->times.clear();
        }
        body += "}";
        answer(at.socket, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }

    static void answer(int socket, std::string_view text) { (void)::send(socket, text.data(), text.size(), MSG_NOSIGNAL); }

    int poll_;
    std::vector<std::unique_ptr<Port>> ports_;
    std::unordered_map<int, Port*> listeners_;
    std::unordered_map<int, Connection> connections_;
    std::multimap<std::uint64_t, int> later_;
};

}  // namespace

int main(int argc, char** argv)
{
    if (argc < 3) {
        std::fprintf(stderr, "usage: bench_sink CONTROL_PORT PORT[:DELAY_MS|:hang|:fail] ...\n");
        return 2;
    }
    allow_many_files();
    try {
        Sink sink;
        for (int i = 1; i < argc; ++i) sink.listen(argv[i], i == 1);
        sink.run();
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "bench_sink: %s\n", wrong.what());
        return 1;
    }
}
