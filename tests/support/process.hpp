// tests/support/process.hpp — a child process whose output a test can wait for, signal and reap.
//
//     Process daemon{{EVENTYARD_BINARY, "serve", "--config", file}};
//     REQUIRE(daemon.wait_for_line("listening"));
//     daemon.signal(SIGTERM);
//     CHECK(daemon.wait().code == 0);
//
// Output is collected by a thread of the object, so a child that writes much never blocks. The
// child is killed when the object ends, and by the kernel when the thread that started it ends:
// start long-lived children from the test's main thread.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace eventyard::support {

/// How a child ended. `code` is its exit status, or -1 when a signal ended it.
struct Exit {
    int code = -1;
    int signal = 0;
};

struct ProcessOptions {
    std::string directory;                                         // empty: ours
    std::vector<std::pair<std::string, std::string>> environment;  // added to ours
    std::string input;                                             // its whole stdin
    std::size_t output_max = 64U << 20;  // bytes kept of each stream; the rest is read and dropped
};

class Process {
public:
    using Milliseconds = std::chrono::milliseconds;

    /// @param arguments  the program's path and its arguments
    explicit Process(std::vector<std::string> arguments, ProcessOptions options = {})
        : options_(std::move(options))
    {
        start(arguments);
        reader_ = std::thread([this] { collect(); });
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process()
    {
        if (!exit_) {
            ::kill(pid_, SIGKILL);
            reap();
        }
        const char stop = 'x';
        [[maybe_unused]] const auto written = ::write(wake_[1], &stop, 1);
        reader_.join();
        for (const int fd : {out_, err_, in_, exit_fd_, wake_[0], wake_[1]})
            if (fd >= 0) ::close(fd);
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal(int number) const
    {
        if (!exit_) ::kill(pid_, number);
    }
    /// SIGKILL and wait.
    Exit kill()
    {
        signal(SIGKILL);
        return reap();
    }

    /// Waits for its end; all it wrote is there then. (What a grandchild writes later is not.) After `timeout` the child is killed and
    /// the test fails by exception, with what it had written.
    Exit wait(Milliseconds timeout = Milliseconds{60'000})
    {
        std::unique_lock lock{mutex_};
        if (!changed_.wait_for(lock, timeout, [&] { return ended_; })) {
            lock.unlock();
            kill();
            throw std::runtime_error("child did not end in time; stdout:\n" + out() + "\nstderr:\n" + err());
        }
        lock.unlock();
        return reap();
    }
    /// Whether it has not ended yet.
    [[nodiscard]] bool running()
    {
        if (exit_) return false;
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
        set_exit(status);
        return false;
    }

    /// The first whole line of stdout or stderr that contains `part`, from line `skip` of the
    /// matching ones on; nothing when the child ends or the time passes without one.
    [[nodiscard]] std::optional<std::string> wait_for_line(std::string_view part,
                                                           Milliseconds timeout = Milliseconds{20'000},
                                                           std::size_t skip = 0)
    {
        std::unique_lock lock{mutex_};
        std::optional<std::string> found;
        changed_.wait_for(lock, timeout, [&] {
            found = find_line(out_text_, part, skip);
            if (!found) found = find_line(err_text_, part, skip);
            return found.has_value() || ended_;
        });
        return found;
    }
    /// What it wrote so far.
    [[nodiscard]] std::string out() const
    {
        const std::lock_guard lock{mutex_};
        return out_text_;
    }
    [[nodiscard]] std::string err() const
    {
        const std::lock_guard lock{mutex_};
        return err_text_;
    }

private:
    void start(std::vector<std::string>& arguments)
    {
        ::signal(SIGPIPE, SIG_IGN);  // a child that ends early must not end the test
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        std::vector<std::string> texts;
        for (char** entry = environ; *entry != nullptr; ++entry) {
            const std::string_view text{*entry};
            bool replaced = false;
            for (const auto& [name, value] : options_.environment)
                replaced = replaced || text.substr(0, name.size() + 1) == name + "=";
            if (!replaced) texts.emplace_back(text);
        }
        for (const auto& [name, value] : options_.environment) texts.push_back(name + "=" + value);
        std::vector<char*> envp;
        for (std::string& text : texts) envp.push_back(text.data());
        envp.push_back(nullptr);

        std::array<int, 2> input{}, output{}, errors{};
        if (::pipe2(input.data(), O_CLOEXEC) != 0 || ::pipe2(output.data(), O_CLOEXEC) != 0 ||
            ::pipe2(errors.data(), O_CLOEXEC) != 0 || ::pipe2(wake_.data(), O_CLOEXEC) != 0)
            throw std::runtime_error(std::string("pipe2: ") + std::strerror(errno));
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
        if (pid_ == 0) {  // only async-signal-safe calls from here to exec
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(126);
            ::signal(SIGPIPE, SIG_DFL);
            ::dup2(input[0], 0);
            ::dup2(output[1], 1);
            ::dup2(errors[1], 2);
            if (!options_.directory.empty() && ::chdir(options_.directory.c_str()) != 0) ::_exit(126);
            ::execve(argv[0], argv.data(), envp.data());
            ::_exit(127);
        }
        ::close(input[0]);
        ::close(output[1]);
        ::close(errors[1]);
        in_ = input[1];
        out_ = output[0];
        err_ = errors[0];
        for (const int fd : {in_, out_, err_}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
        exit_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
        if (exit_fd_ < 0) throw std::runtime_error(std::string("pidfd_open: ") + std::strerror(errno));
        if (options_.input.empty()) {
            ::close(in_);
            in_ = -1;
        }
    }

    /// Feeds stdin and collects stdout and stderr until the child or the object ends. (The streams
    /// may stay open longer: grandchildren inherit them.)
    void collect()
    {
        std::size_t fed = 0;
        bool out_open = true;
        bool err_open = true;
        while (true) {
            std::array<pollfd, 5> polled{{{out_open ? out_ : -1, POLLIN, 0},
                                          {err_open ? err_ : -1, POLLIN, 0},
                                          {in_, POLLOUT, 0},
                                          {wake_[0], POLLIN, 0},
                                          {exit_fd_, POLLIN, 0}}};
            if (::poll(polled.data(), polled.size(), -1) < 0) continue;
            if (polled[0].revents != 0) out_open = take(out_, out_text_);  // it was ready: false is
            if (polled[1].revents != 0) err_open = take(err_, err_text_);  // the end
            if (polled[2].revents != 0) {
                const auto wrote = ::write(in_, options_.input.data() + fed, options_.input.size() - fed);
                if (wrote > 0) fed += static_cast<std::size_t>(wrote);
                if (fed == options_.input.size() || (wrote < 0 && errno != EAGAIN && errno != EINTR)) {
                    ::close(in_);
                    in_ = -1;
                }
            }
            if (polled[3].revents != 0) break;
            if (polled[4].revents != 0) {
                while (out_open && take(out_, out_text_)) {
                }
                while (err_open && take(err_, err_text_)) {
                }
                break;
            }
        }
        const std::lock_guard lock{mutex_};
        ended_ = true;
        changed_.notify_all();
    }
    /// False at the stream's end, or when nothing is there now.
    bool take(int fd, std::string& text)
    {
        std::array<char, 65536> buffer;
        const auto got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0) return errno == EINTR;
        if (got == 0) return false;
        const std::lock_guard lock{mutex_};
        const std::size_t room = options_.output_max - std::min(options_.output_max, text.size());
        text.append(buffer.data(), std::min(room, static_cast<std::size_t>(got)));
        changed_.notify_all();
        return true;
    }

    static std::optional<std::string> find_line(const std::string& text, std::string_view part,
                                                std::size_t skip)
    {
        std::size_t at = 0;
        while ((at = text.find(part, at)) != std::string::npos) {
            const std::size_t before = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
            const std::size_t begin = before == std::string::npos ? 0 : before + 1;
            const std::size_t end = text.find('\n', at);
            if (end == std::string::npos) return std::nullopt;  // not whole yet
            if (skip-- == 0) return text.substr(begin, end - begin);
            at = end + 1;
        }
        return std::nullopt;
    }

    Exit reap()
    {
        if (exit_) return *exit_;
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        set_exit(status);
        return *exit_;
    }
    void set_exit(int status)
    {
        exit_ = WIFEXITED(status) ? Exit{WEXITSTATUS(status), 0} : Exit{-1, WTERMSIG(status)};
    }

    ProcessOptions options_;
    pid_t pid_ = -1;
    int in_ = -1, out_ = -1, err_ = -1, exit_fd_ = -1;
    std::array<int, 2> wake_{-1, -1};
    std::optional<Exit> exit_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::string out_text_, err_text_;
    bool ended_ = false;  // nothing more will be collected
    std::thread reader_;
};

/// Runs a program to its end. The result of run() keeps both streams.
struct Finished {
    Exit exit;
    std::string out;
    std::string err;
};

inline Finished run(std::vector<std::string> arguments, ProcessOptions options = {},
                    std::chrono::milliseconds timeout = std::chrono::milliseconds{60'000})
{
    Process process{std::move(arguments), std::move(options)};
    Finished finished;
    finished.exit = process.wait(timeout);
    finished.out = process.out();
    finished.err = process.err();
    return finished;
}

}  // namespace eventyard::support
