// Times AWS event-ruler on one thread and prints one line of JSON.
//
//     RulerPeer RULES EVENTS SECONDS LOAD_SECONDS [plain]
//
// RULES holds one pattern a line, EVENTS one event a line; rule i is named "i". A rule that is refused
// is listed and left out. Its structured matching is on, as it is by default; "plain" turns it off.
// First every event is answered once, for the answers and to warm up; then rounds over all events
// follow until SECONDS have passed, at least three unless they are very slow.
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import software.amazon.event.ruler.Machine;

public final class RulerPeer {
    private static final double NANOS = 1e9;

    public static void main(String[] arguments) throws Exception {
        final String rulesPath = arguments[0];
        final String eventsPath = arguments[1];
        final double seconds = Double.parseDouble(arguments[2]);
        final double loadSeconds = Double.parseDouble(arguments[3]);

        final StringBuilder refused = new StringBuilder();
        final boolean structured = arguments.length < 5 || !arguments[4].equals("plain");
        final Machine machine = Machine.builder().withStructuredMatching(structured)
            .withOverridesForDuplicateRules(false).build();
        final List<String> rules = readLines(rulesPath);
        final long memoryBefore = usedMemory();
        final long loadStart = System.nanoTime();
        int tried = 0;
        int accepted = 0;
        for (String rule : rules) {
            if ((System.nanoTime() - loadStart) / NANOS > loadSeconds) {
                break;
            }
            try {
                machine.addRule(Integer.toString(tried), rule);
                ++accepted;
            } catch (Exception e) {
                if (refused.length() > 0) {
                    refused.append(',');
                }
                refused.append(tried);
            }
            ++tried;
        }
        final double loaded = (System.nanoTime() - loadStart) / NANOS;
        final StringBuilder out = new StringBuilder();
        out.append("{\"peer\":\"event-ruler\",\"rules\":").append(rules.size())
            .append(",\"tried\":").append(tried).append(",\"accepted\":").append(accepted)
            .append(",\"refused\":[").append(refused).append("],\"load_seconds\":").append(loaded)
            .append(",\"memory_bytes\":").append(usedMemory() - memoryBefore);
        if (tried == rules.size()) {
            measure(machine, readLines(eventsPath), rules.size(), seconds, out);
        }
        System.out.println(out.append('}'));
    }

    private static void measure(Machine machine, List<String> events, int rules, double seconds,
                                StringBuilder out) throws Exception {
        final long[] ofRule = new long[rules];
        long digest = 0;
        long matches = 0;
        int answered = 0;
        final long answersStart = System.nanoTime();
        for (String event : events) {
            if ((System.nanoTime() - answersStart) / NANOS > 4 * seconds) {
                break;
            }
            for (String name : machine.rulesForJSONEvent(event)) {
                final int rule = Integer.parseInt(name);
                digest += mix((long) answered << 32 | rule);
                ++ofRule[rule];
                ++matches;
            }
            ++answered;
        }
        final List<Double> rates = new ArrayList<>();
        final long start = System.nanoTime();
        boolean complete = answered == events.size();
        long sink = 0;
        final List<Double> cpuRates = new ArrayList<>();
        while (goesOn(rates.size(), (System.nanoTime() - start) / NANOS, seconds)) {
            final long roundStart = System.nanoTime();
            final long cpuStart = threadCpu();
            int done = 0;
            for (String event : events) {
                sink += machine.rulesForJSONEvent(event).size();
                ++done;
                final boolean look = done < 16 || done % 16 == 0;
                if (look && (System.nanoTime() - roundStart) / NANOS > seconds) {
                    break;
                }
            }
            cpuRates.add(done / ((threadCpu() - cpuStart) / NANOS));
            rates.add(done / ((System.nanoTime() - roundStart) / NANOS));
        }
        out.append(",\"cpu_rounds\":").append(cpuRates);
        out.append(",\"events\":").append(events.size()).append(",\"answered\":").append(answered)
            .append(",\"complete\":").append(complete).append(",\"matches\":").append(matches)
            .append(",\"digest\":\"").append(String.format("%016x", digest)).append("\",\"rounds\":")
            .append(rates).append(",\"sink\":").append(sink).append(",\"rule_counts\":[");
        boolean first = true;
        for (int rule = 0; rule < rules; ++rule) {
            if (ofRule[rule] > 0) {
                out.append(first ? "[" : ",[").append(rule).append(',').append(ofRule[rule]).append(']');
                first = false;
            }
        }
        out.append(']');
    }

    private static boolean goesOn(int rounds, double spent, double seconds) {
        return rounds == 0 || spent < seconds || (rounds < 3 && spent < 4 * seconds);
    }

    /** As pair_mix() of cli/bench_run.cpp. */
    private static long mix(long pair) {
        long z = pair + 0x9e3779b97f4a7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    /** Of this thread: neither the collector nor the compiler of the virtual machine. */
    private static long threadCpu() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private static List<String> readLines(String path) throws IOException {
        final List<String> lines = new ArrayList<>();
        try (BufferedReader in = Files.newBufferedReader(Path.of(path), StandardCharsets.UTF_8)) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                if (!line.isBlank()) {
                    lines.add(line);
                }
            }
        }
        return lines;
    }

    private static long usedMemory() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
}
