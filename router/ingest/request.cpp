#include "router/ingest/request.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace eventyard::router {
namespace {

constexpr const char* types_taken =
    "application/json, application/x-ndjson, application/cloudevents+json, "
    "application/cloudevents-batch+json, or any type with ce- headers";

bool starts_with(std::string_view text, std::string_view start)
{
    return text.substr(0, start.size()) == start;
}

Refusal syntax_refusal(const json::SyntaxError& error, std::size_t base, const IngestLimits& limits)
{
    Refusal refusal;
    refusal.code = error.too_deep ? "too_deep" : "invalid_json";
    refusal.message = error.message;
    refusal.offset = base + error.offset;
    if (error.too_deep) {
        refusal.config = "limits.depth";
        refusal.limit = limits.depth;
    }
    return refusal;
}

Refusal not_an_object(const json::Document& document, std::size_t base)
{
    Refusal refusal;
    refusal.code = "not_an_object";
    refusal.message = "an event is a JSON object";
    if (document.root().kind == json::Kind::array)
        refusal.message += "; send many as NDJSON (application/x-ndjson), one a line";
    refusal.offset = base + document.root().begin;
    return refusal;
}

Refusal batch_refusal(std::size_t items, const IngestLimits& limits)
{
    Refusal refusal;
    refusal.status = 413;
    refusal.code = "batch_too_long";
    refusal.message = fmt::format("the request holds {} events, more than {}", items, limits.batch);
    refusal.config = "limits.batch";
    refusal.limit = limits.batch;
    return refusal;
}

class Reader {
public:
    Reader(std::string_view body, const IngestLimits& limits, ReadScratch& scratch, ItemSink& sink,
           Refusal& refusal)
        : body_(body), limits_(limits), scratch_(scratch), sink_(sink), refusal_(refusal) {}

    /// One JSON or CloudEvents object, `text` being a part of the body.
    void item(std::string_view text, EventFormat format, std::uint64_t line)
    {
        const auto base = static_cast<std::size_t>(text.data() - body_.data());
        json::SyntaxError error;
        Refusal refusal;
        if (!scratch_.document.parse(text, {limits_.depth}, error)) {
            refusal = syntax_refusal(error, base, limits_);
        } else if (format == EventFormat::json && scratch_.document.root().kind != json::Kind::object) {
            refusal = not_an_object(scratch_.document, base);
        } else if (format == EventFormat::json || check_cloudevent(scratch_.document, base, refusal)) {
            sink_.take({format, text, scratch_.document, text.size() == body_.size(), line});
            return;
        }
        refusal.line = line;
        sink_.refuse(std::move(refusal));
    }

    bool lines()
    {
        std::size_t items = 0;
        each_line([&items](std::string_view, std::uint64_t) { ++items; });
        if (items > limits_.batch) return refuse(batch_refusal(items, limits_));
        each_line([this](std::string_view text, std::uint64_t line) { item(text, EventFormat::json, line); });
        return true;
    }

    bool batch()
    {
        json::SyntaxError error;
        json::Document& batch = scratch_.batch;
        if (!batch.parse(body_, {limits_.depth + 1}, error)) {
            return refuse(syntax_refusal(error, 0, limits_));
        }
        if (batch.root().kind != json::Kind::array) {
            Refusal refusal;
            refusal.code = "not_an_array";
            refusal.message = "a CloudEvents batch is a JSON array";
            refusal.offset = batch.root().begin;
            return refuse(std::move(refusal));
        }
        const auto& values = batch.values();
        std::size_t items = 0;
        for (std::uint32_t i = 1; i < values.size(); i = values[i].next) ++items;
        if (items > limits_.batch) return refuse(batch_refusal(items, limits_));
        for (std::uint32_t i = 1; i < values.size(); i = values[i].next)
            item(body_.substr(values[i].begin, values[i].end - values[i].begin), EventFormat::cloudevents, 0);
        return true;
    }

    bool binary(const BodyHeaders& headers)
    {
        Refusal refusal;
        json::SyntaxError error;
        std::string& text = scratch_.text;
        if (!build_cloudevent(headers.ce, headers.content_type.value_or(""), body_, {limits_.depth},
                              scratch_.batch, text, refusal)) {
            sink_.refuse(std::move(refusal));
        } else if (!scratch_.document.parse(text, {limits_.depth + 1}, error)) {
            sink_.refuse(syntax_refusal(error, 0, limits_));  // cannot happen: it was built from parts
        } else if (!check_cloudevent(scratch_.document, 0, refusal)) {
            refusal.offset.reset();  // the mistake is in the headers
            sink_.refuse(std::move(refusal));
        } else {
            sink_.take({EventFormat::cloudevents, text, scratch_.document, false, 0});
        }
        return true;
    }

private:
    bool refuse(Refusal refusal)
    {
        refusal_ = std::move(refusal);
        return false;
    }

    template <class Visit>
    void each_line(Visit visit) const
    {
        std::uint64_t line = 0;
        for (std::size_t begin = 0; begin < body_.size();) {
            const std::size_t end = std::min(body_.find('\n', begin), body_.size());
            std::string_view text = body_.substr(begin, end - begin);
            begin = end + 1;
            ++line;
            if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
            if (text.find_first_not_of(" \t\r") != std::string_view::npos) visit(text, line);
        }
    }

    std::string_view body_;
    const IngestLimits& limits_;
    ReadScratch& scratch_;
    ItemSink& sink_;
    Refusal& refusal_;
};

}  // namespace

std::optional<BodyForm> body_form(const BodyHeaders& headers, Refusal& refusal)
{
    std::optional<MediaType> type;
    if (headers.content_type) {
        type = parse_media_type(*headers.content_type);
        if (!type) {
            refusal.status = 415;
            refusal.code = "unsupported_media_type";
            refusal.message = std::string("the Content-Type is no media type; send ") + types_taken;
            return std::nullopt;
        }
    }
    const std::string_view essence = type ? std::string_view{type->essence} : "application/json";
    if (starts_with(essence, "application/cloudevents")) {
        if (essence == "application/cloudevents-batch+json" || essence == "application/cloudevents-batch")
            return BodyForm::ce_batch;
        if (essence == "application/cloudevents+json" || essence == "application/cloudevents")
            return BodyForm::ce_structured;
    } else {
        for (const CeHeader& header : headers.ce)
            if (header.name == "specversion" || header.name == "id" || header.name == "source" ||
                header.name == "type")
                return BodyForm::ce_binary;
        if (essence == "application/x-ndjson" || essence == "application/ndjson" ||
            essence == "application/jsonl" || essence == "application/x-jsonlines")
            return BodyForm::ndjson;
        if (!type || type->is_json()) return BodyForm::json;
    }
    refusal.status = 415;
    refusal.code = "unsupported_media_type";
    refusal.message = fmt::format("the Content-Type '{}' is not taken; send {}",
                                  essence.substr(0, 100), types_taken);
    return std::nullopt;
}

bool read_items(BodyForm form, const BodyHeaders& headers, std::string_view body,
                const IngestLimits& limits, ReadScratch& scratch, ItemSink& sink, Refusal& refusal)
{
    Reader reader{body, limits, scratch, sink, refusal};
    switch (form) {
        case BodyForm::json: reader.item(body, EventFormat::json, 0); return true;
        case BodyForm::ndjson: return reader.lines();
        case BodyForm::ce_structured: reader.item(body, EventFormat::cloudevents, 0); return true;
        case BodyForm::ce_batch: return reader.batch();
        case BodyForm::ce_binary: return reader.binary(headers);
    }
    return true;
}

}  // namespace eventyard::router
