// Times Quamina on one matching thread and prints one line of JSON.
//
//	quamina-peer RULES EVENTS SECONDS LOAD_SECONDS
//
// RULES holds one pattern a line, EVENTS one event a line. A rule that is refused is listed and left
// out. First every event is answered once, for the answers and to warm up; then rounds over all events
// follow until SECONDS have passed, at least three unless they are very slow.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"quamina.net/go/quamina/v2"
)

type answer struct {
	Peer        string      `json:"peer"`
	Rules       int         `json:"rules"`
	Tried       int         `json:"tried"`
	Accepted    int         `json:"accepted"`
	Refused     []int       `json:"refused"`
	LoadSeconds float64     `json:"load_seconds"`
	MemoryBytes int64       `json:"memory_bytes"`
	Events      int         `json:"events"`
	Answered    int         `json:"answered"`
	Complete    bool        `json:"complete"`
	Matches     uint64      `json:"matches"`
	Digest      string      `json:"digest"`
	Rounds      []float64   `json:"rounds"`
	Sink        int         `json:"sink"`
	CPURounds   []float64   `json:"cpu_rounds"`
	RuleCounts  [][2]uint64 `json:"rule_counts"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "quamina-peer:", err)
		os.Exit(2)
	}
}

func readLines(path string) [][]byte {
	content, err := os.ReadFile(path)
	check(err)
	var lines [][]byte
	for _, line := range bytes.Split(content, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

func usedMemory() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// mix is pair_mix() of cli/bench_run.cpp.
func mix(pair uint64) uint64 {
	z := pair + 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// threadCPU is the CPU time of this thread alone, without the collector's threads; Linux only.
func threadCPU() float64 {
	const rusageThread = 1
	var usage syscall.Rusage
	check(syscall.Getrusage(rusageThread, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func goesOn(rounds int, spent, seconds float64) bool {
	return rounds == 0 || spent < seconds || (rounds < 3 && spent < 4*seconds)
}

func measure(q *quamina.Quamina, events [][]byte, seconds float64, out *answer) {
	counts := make([]uint64, out.Rules)
	var digest uint64
	start := time.Now()
	out.Events = len(events)
	for _, event := range events {
		if time.Since(start).Seconds() > 4*seconds {
			break
		}
		matched, err := q.MatchesForEvent(event)
		check(err)
		for _, x := range matched {
			rule := x.(int)
			digest += mix(uint64(out.Answered)<<32 | uint64(rule))
			counts[rule]++
			out.Matches++
		}
		out.Answered++
	}
	out.Complete = out.Answered == out.Events
	out.Digest = fmt.Sprintf("%016x", digest)
	for rule, count := range counts {
		if count > 0 {
			out.RuleCounts = append(out.RuleCounts, [2]uint64{uint64(rule), count})
		}
	}
	runtime.LockOSThread()
	start = time.Now()
	for goesOn(len(out.Rounds), time.Since(start).Seconds(), seconds) {
		round := time.Now()
		cpu := threadCPU()
		done := 0
		for _, event := range events {
			matched, err := q.MatchesForEvent(event)
			check(err)
			out.Sink += len(matched)
			done++
			if (done < 16 || done%16 == 0) && time.Since(round).Seconds() > seconds {
				break
			}
		}
		out.CPURounds = append(out.CPURounds, float64(done)/math.Max(threadCPU()-cpu, 1e-6))
		out.Rounds = append(out.Rounds, float64(done)/time.Since(round).Seconds())
	}
}

func main() {
	if len(os.Args) != 5 {
		check(fmt.Errorf("usage: quamina-peer RULES EVENTS SECONDS LOAD_SECONDS"))
	}
	seconds, err := strconv.ParseFloat(os.Args[3], 64)
	check(err)
	loadSeconds, err := strconv.ParseFloat(os.Args[4], 64)
	check(err)

	q, err := quamina.New()
	check(err)
	rules := readLines(os.Args[1])
	out := answer{Peer: "quamina", Rules: len(rules), Refused: []int{}, RuleCounts: [][2]uint64{}, Rounds: []float64{}, CPURounds: []float64{}}
	memory := usedMemory()
	start := time.Now()
	for i, rule := range rules {
		if time.Since(start).Seconds() > loadSeconds {
			break
		}
		out.Tried++
		if q.AddPattern(i, string(rule)) == nil {
			out.Accepted++
		} else {
			out.Refused = append(out.Refused, i)
		}
	}
	out.LoadSeconds = time.Since(start).Seconds()
	out.MemoryBytes = usedMemory() - memory
	if out.Tried == len(rules) {
		measure(q, readLines(os.Args[2]), seconds, &out)
	}
	check(json.NewEncoder(os.Stdout).Encode(out))
}
