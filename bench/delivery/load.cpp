// Posts events to a daemon over many connections, as fast as answers come or at a rate that does not wait for them;
// an answer's time then counts from when its request was due. Ends by itself, and prints one JSON object.
//
//     bench_load PORT [--connections N] [--batch N] [--bytes N] [--rate REQUESTS/S] (--seconds S | --count REQUESTS)
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <stdexcept>

#include "bench/delivery/wire.hpp"

using namespace eventyard::bench;

namespace {

struct Options {
    std::uint16_t port = 0;
    std::size_t connections = 64, batch = 1, bytes = 1024;
    double rate = 0, seconds = 0;
    std::uint64_t count = 0;
};

struct Connection {
    int socket = -1;
    std::uint64_t due = 0;   // of the request under way; 0: idle
    std::size_t sent = 0;
    bool waits = false;      // for room to send the rest
    std::string request, answer;
    std::vector<std::size_t> marks;  // where the due times stand in the request
};

class Load {
public:
    explicit Load(const Options& options) : options_(options), poll_(::epoll_create1(EPOLL_CLOEXEC))
    {
        const std::string request = make_request();
        connections_.resize(options.connections);
        for (std::uint32_t i = 0; i < connections_.size(); ++i) {
            Connection& made = connections_[i];
            made.request = request;
            for (auto at = request.find(due_mark); at != std::string::npos; at = request.find(due_mark, at + 1))
                made.marks.push_back(at + due_mark.size());
            connect(made, i);
            idle_.push_back(i);
        }
    }

    void run()
    {
        const std::uint64_t begin = now();
        const std::uint64_t end = options_.seconds > 0 ? begin + static_cast<std::uint64_t>(options_.seconds * 1e9) : UINT64_MAX;
        const double gap = options_.rate > 0 ? 1e9 / options_.rate : 0;
        std::uint64_t started = 0;
        epoll_event events[256];
        while (started - done_ > 0 || (now() < end && (options_.count == 0 || started < options_.count))) {
            std::uint64_t time = now();
            const bool over = time >= end || (options_.count != 0 && started >= options_.count);
            int wait = -1;
            if (!over) {
                for (; !idle_.empty(); ++started) {
                    if (options_.count != 0 && started >= options_.count) break;
                    std::uint64_t due = time;
                    if (gap > 0) {
                        due = begin + static_cast<std::uint64_t>(static_cast<double>(started) * gap);
                        if (due > time) break;
                    }
                    const std::uint32_t i = idle_.front();
                    idle_.pop_front();
                    start(connections_[i], i, due);
                }
                if (gap > 0 && !idle_.empty()) {
                    const std::uint64_t due = begin + static_cast<std::uint64_t>(static_cast<double>(started) * gap);
                    wait = due > time ? static_cast<int>((due - time) / 1'000'000) : 0;
                }
            }
            const int ready = ::epoll_wait(poll_, events, 256, std::min(wait < 0 ? 1000 : wait, 1000));
            if (ready == 0 && now() > last_answer_ + 120'000'000'000 && started > done_) throw std::runtime_error("no answer for two minutes");
            for (int k = 0; k < ready; ++k) advance(events[k].data.u32, events[k].events);
        }
        const double seconds = static_cast<double>(now() - begin) * 1e-9;
        std::printf("{\"requests\":%lu,\"events\":%lu,\"refused\":%lu,\"seconds\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"first_refusal\":\"%s\"}\n",
                    done_, (done_ - refused_) * options_.batch, refused_, seconds, times_.at(0.5), times_.at(0.99), first_refusal_.c_str());
    }
    [[nodiscard]] bool clean() const { return refused_ == 0; }

private:
    [[nodiscard]] std::string make_request() const
    {
        std::string event = R"({"source":"shop.orders","detail-type":"OrderPaid","detail":{"amount":150,"email":"a@example.com",)";
        event += due_mark;
        event += std::string(due_digits, '1') + R"(","pad":")";
        event += std::string(options_.bytes > event.size() + 3 ? options_.bytes - event.size() - 3 : 0, 'x') + R"("}})";
        std::string body;
        for (std::size_t i = 0; i < options_.batch; ++i) body += event + (options_.batch > 1 ? "\n" : "");
        return "POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: " +
               std::string(options_.batch > 1 ? "application/x-ndjson" : "application/json") +
               "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }

    void connect(Connection& made, std::uint32_t i)
    {
        made.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(options_.port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(made.socket, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("nobody listens there");
        const int on = 1;
        ::setsockopt(made.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::fcntl(made.socket, F_SETFL, O_NONBLOCK);
        watch(EPOLL_CTL_ADD, made.socket, i, EPOLLIN);
    }

    void start(Connection& at, std::uint32_t i, std::uint64_t due)
    {
        at.due = due;
        at.sent = 0;
        for (const std::size_t mark : at.marks) write_due(at.request.data() + mark, due);
        send(at, i);
    }

    void send(Connection& at, std::uint32_t i)
    {
        const ssize_t sent = ::send(at.socket, at.request.data() + at.sent, at.request.size() - at.sent, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) throw std::runtime_error("the daemon closed a connection");
        if (sent > 0) at.sent += static_cast<std::size_t>(sent);
        if (const bool more = at.sent < at.request.size(); more != at.waits) {
            at.waits = more;
            watch(EPOLL_CTL_MOD, at.socket, i, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
        }
    }

    void watch(int how, int socket, std::uint32_t i, std::uint32_t what)
    {
        epoll_event event{};
        event.events = what;
        event.data.u32 = i;
        ::epoll_ctl(poll_, how, socket, &event);
    }

    void advance(std::uint32_t i, std::uint32_t what)
    {
        Connection& at = connections_[i];
        if ((what & EPOLLOUT) != 0 && at.sent < at.request.size()) send(at, i);
        if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
        char bytes[16384];
        const ssize_t got = ::recv(at.socket, bytes, sizeof bytes, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) throw std::runtime_error("the daemon closed a connection");
        if (got < 0) return;
        at.answer.append(bytes, static_cast<std::size_t>(got));
        std::size_t head = 0;
        const std::size_t size = message_size(at.answer, head);
        if (size == 0) return;
        last_answer_ = now();
        times_.add(last_answer_ - at.due);
        ++done_;
        if (at.answer.compare(9, 3, "202") != 0 && refused_++ == 0) first_refusal_ = at.answer.substr(9, 3);
        at.answer.erase(0, size);
        at.due = 0;
        idle_.push_back(i);
    }

    const Options options_;
    int poll_;
    std::vector<Connection> connections_;
    std::deque<std::uint32_t> idle_;
    Times times_;
    std::uint64_t done_ = 0, refused_ = 0, last_answer_ = now();
    std::string first_refusal_;
};

}  // namespace

int main(int argc, char** argv)
{
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto value = [&] { return i + 1 < argc ? std::atof(argv[++i]) : 0; };
        if (argument == "--connections") options.connections = static_cast<std::size_t>(value());
        else if (argument == "--batch") options.batch = static_cast<std::size_t>(value());
        else if (argument == "--bytes") options.bytes = static_cast<std::size_t>(value());
        else if (argument == "--rate") options.rate = value();
        else if (argument == "--seconds") options.seconds = value();
        else if (argument == "--count") options.count = static_cast<std::uint64_t>(value());
        else options.port = static_cast<std::uint16_t>(std::atoi(argument.c_str()));
    }
    if (options.port == 0 || options.connections == 0 || options.batch == 0 || (options.seconds <= 0 && options.count == 0)) {
        std::fprintf(stderr, "usage: bench_load PORT [--connections N] [--batch N] [--bytes N] [--rate REQUESTS/S] (--seconds S | --count REQUESTS)\n");
        return 2;
    }
    allow_many_files();
    try {
        Load load{options};
        load.run();
        return load.clean() ? 0 : 1;
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "bench_load: %s\n", wrong.what());
        return 1;
    }
}
