#include "targets/file.hpp"
#include "tests/conformance/suite.hpp"
#include "tests/support/breaking_disk.hpp"
#include "tests/support/temp_dir.hpp"

namespace eventyard::conformance {
namespace {

class FileHarness final : public Harness {
public:
    ~FileHarness() override { disk_->stalled = false; }
    ReadTarget good(const std::string& timeout) override
    {
        return support::read_settings(
            R"({"envelope":true,"path":")" + path_ + R"(","timeout":")" + timeout + "\"}",
            [this](Fields& fields) { return targets::read_file_target_on(fields, disk_); });
    }
    std::vector<Arrived> arrived() override
    {
        std::vector<Arrived> all;
        for (const std::string& line : support::lines_of(support::read_text(path_))) all.push_back(from_envelope(line));
        return all;
    }
    void hang() override { disk_->stalled = true; }
    void resume() override { disk_->stalled = false; }
    ReadTarget unreachable() override
    {
        dir_.write("plain", "not a directory");
        return support::read_target("file", R"({"path":")" + dir_.file("plain/a.jsonl") + "\"}");
    }
    std::string unreachable_place() override { return dir_.file("plain"); }
    std::optional<ReadTarget> behind_silent_dns(const std::string&, const std::string&) override
    {
        return std::nullopt;
    }

private:
    support::TempDir dir_;
    std::string path_ = dir_.file("out/a.jsonl");
    std::shared_ptr<support::BreakingDisk> disk_ = std::make_shared<support::BreakingDisk>();
};

}  // namespace

std::unique_ptr<Harness> file_harness() { return std::make_unique<FileHarness>(); }

}  // namespace eventyard::conformance
