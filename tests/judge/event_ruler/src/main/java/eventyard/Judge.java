// Reads lines {"patterns":[text], "events":[text]} and answers each with what event-ruler says:
// {"refused":[reason or null], "alone":["01x-"], "together":["01x-"]}, one string an event, one sign a
// pattern. `alone`: the pattern in machines of its own, one for each way of taking its $or branches;
// `together`: all patterns in one. x: an exception, -: refused.
package eventyard;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.Patterns;

public final class Judge {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** The names of the rules that match, or null after an exception. */
    private static Set<String> ask(Machine machine, String event) {
        try {
            return new HashSet<>(machine.rulesForJSONEvent(event));
        } catch (Exception | StackOverflowError e) {
            return null;
        }
    }

    private static ObjectNode answer(JsonNode line) {
        List<List<Machine>> alone = new ArrayList<>();
        Machine together = new Machine();
        ObjectNode out = JSON.createObjectNode();
        ArrayNode refused = out.putArray("refused");
        int patterns = line.get("patterns").size();
        for (int i = 0; i < patterns; i++) {
            String pattern = line.get("patterns").get(i).asText();
            List<Machine> machines = new ArrayList<>();
            try {
                for (Map<String, List<Patterns>> fields : JsonRuleCompiler.compile(pattern)) {
                    machines.add(new Machine());
                    machines.get(machines.size() - 1).addPatternRule("", fields);
                }
                together.addRule(Integer.toString(i), pattern);
                refused.addNull();
            } catch (Exception | StackOverflowError e) {
                machines = null;
                refused.add(String.valueOf(e.getMessage()));
            }
            alone.add(machines);
        }
        ArrayNode single = out.putArray("alone");
        ArrayNode all = out.putArray("together");
        for (JsonNode node : line.get("events")) {
            String event = node.asText();
            Set<String> matched = ask(together, event);
            StringBuilder one = new StringBuilder();
            StringBuilder many = new StringBuilder();
            for (int i = 0; i < patterns; i++) {
                if (alone.get(i) == null) {
                    one.append('-');
                    many.append('-');
                    continue;
                }
                char mine = '0';
                for (Machine machine : alone.get(i)) {
                    Set<String> names = ask(machine, event);
                    if (names == null) mine = 'x';
                    if (names == null || mine == 'x') break;
                    if (!names.isEmpty()) mine = '1';
                }
                one.append(mine);
                many.append(matched == null ? 'x' : matched.contains(Integer.toString(i)) ? '1' : '0');
            }
            single.add(one.toString());
            all.add(many.toString());
        }
        return out;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answer(JSON.readTree(line)));
            out.flush();
        }
    }
}
