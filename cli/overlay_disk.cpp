#include "cli/overlay_disk.hpp"

#include <algorithm>

namespace eventyard {

class OverlayDisk::Handle final : public File {
public:
    Handle(Disk& below, std::shared_ptr<Node> node) : below_(below), node_(std::move(node)) {}

    Result<void> write_at(std::uint64_t offset, const std::vector<std::string_view>& pieces) override
    {
        const std::lock_guard lock{node_->mutex};
        EVENTYARD_CHECK(own());
        std::string& bytes = *node_->bytes;
        for (const std::string_view piece : pieces) {
            if (bytes.size() < offset + piece.size()) bytes.resize(offset + piece.size());
            bytes.replace(offset, piece.size(), piece);
            offset += piece.size();
        }
        return {};
    }
    Result<void> read_at(std::uint64_t offset, std::size_t size, std::string& out) override
    {
        const std::lock_guard lock{node_->mutex};
        if (!node_->bytes) {
            EVENTYARD_CHECK(reach());
            return file_->read_at(offset, size, out);
        }
        out = offset < node_->bytes->size() ? node_->bytes->substr(offset, size) : std::string{};
        return {};
    }
    Result<void> sync_data() override { return {}; }
    Result<void> sync_all() override { return {}; }
    Result<void> truncate(std::uint64_t size) override
    {
        const std::lock_guard lock{node_->mutex};
        EVENTYARD_CHECK(own());
        node_->bytes->resize(size);
        return {};
    }
    Result<std::uint64_t> size() override
    {
        const std::lock_guard lock{node_->mutex};
        if (node_->bytes) return std::uint64_t{node_->bytes->size()};
        EVENTYARD_CHECK(reach());
        return file_->size();
    }
    Result<void> reach()
    {
        if (file_) return {};
        EVENTYARD_TRY(file, below_.open(node_->below, OpenMode::read));
        file_ = std::move(file);
        return {};
    }

private:
    Result<void> own()
    {
        if (node_->bytes) return {};
        EVENTYARD_CHECK(reach());
        EVENTYARD_TRY(size, file_->size());
        std::string bytes;
        EVENTYARD_CHECK(file_->read_at(0, size, bytes));
        node_->bytes = std::move(bytes);
        return {};
    }

    Disk& below_;
    std::shared_ptr<Node> node_;
    std::unique_ptr<File> file_;
};

std::shared_ptr<OverlayDisk::Node> OverlayDisk::find(const std::string& path)
{
    const auto found = nodes_.find(path);
    if (found != nodes_.end()) return found->second;
    if (!below_.exists(path)) return nullptr;
    auto node = std::make_shared<Node>();
    node->below = path;
    nodes_.emplace(path, node);
    return node;
}

Result<std::unique_ptr<File>> OverlayDisk::open(const std::string& path, OpenMode mode)
{
    const std::lock_guard lock{mutex_};
    std::shared_ptr<Node> node = find(path);
    if (mode == OpenMode::create_new) {
        if (node) return fail(Errc::io, "'" + path + "' exists already");
        node = std::make_shared<Node>();
        node->bytes.emplace();
        nodes_[path] = node;
    }
    if (!node) return fail(Errc::not_found, "'" + path + "' does not exist");
    auto handle = std::make_unique<Handle>(below_, node);
    if (!node->bytes) EVENTYARD_CHECK(handle->reach());
    return std::unique_ptr<File>(std::move(handle));
}

Result<void> OverlayDisk::rename(const std::string& from, const std::string& to)
{
    const std::lock_guard lock{mutex_};
    const std::shared_ptr<Node> node = find(from);
    if (!node) return fail(Errc::not_found, "'" + from + "' does not exist");
    nodes_[from] = nullptr;
    nodes_[to] = node;
    return {};
}

Result<void> OverlayDisk::unlink(const std::string& path)
{
    const std::lock_guard lock{mutex_};
    if (!find(path)) return fail(Errc::not_found, "'" + path + "' does not exist");
    nodes_[path] = nullptr;
    return {};
}

Result<void> OverlayDisk::sync_directory(const std::string&) { return {}; }

Result<void> OverlayDisk::make_directory(const std::string& path)
{
    if (below_.exists(path)) return {};
    return fail(Errc::not_found, "'" + path + "' does not exist");
}

Result<std::vector<std::string>> OverlayDisk::list(const std::string& path)
{
    const std::lock_guard lock{mutex_};
    EVENTYARD_TRY(names, below_.list(path));
    const std::string prefix = path + "/";
    for (const auto& [name, node] : nodes_) {
        if (name.rfind(prefix, 0) != 0 || name.find('/', prefix.size()) != std::string::npos) continue;
        const std::string short_name = name.substr(prefix.size());
        std::erase(names, short_name);
        if (node) names.push_back(short_name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

bool OverlayDisk::exists(const std::string& path)
{
    const std::lock_guard lock{mutex_};
    return find(path) != nullptr || (nodes_.count(path) == 0 && below_.exists(path));
}

Result<Space> OverlayDisk::space(const std::string& path) { return below_.space(path); }

}  // namespace eventyard
