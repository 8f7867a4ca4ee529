// Command report runs the benchmarks of package bench and writes the tables of
// docs/performance.md:
//
//	go run ./bench/report -o docs/performance.md
//
// All benchmarks run in turns, one short run of each in every round, so that what
// else the machine does meanwhile meets all of them. A ratio is taken within each
// round, of two runs a moment apart. What a table shows is the median over the
// rounds, and behind a ratio the range that the middle half of them lies in.
//
// Without -o it prints the tables. The output of all runs can be kept for
// benchstat:
//
//	go run ./bench/report -raw new.out
package main

// This file holds the measuring; tables.go says what is shown of it.

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

var (
	output    = flag.String("o", "", "a document whose tables are replaced; without it they are printed")
	raw       = flag.String("raw", "", "a file for the output of all runs")
	rounds    = flag.Int("rounds", 25, "how often each benchmark is run")
	benchtime = flag.String("benchtime", "100ms", "how long each run takes, or 5x for so many times")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run() error {
	document, err := prepare()
	if err != nil {
		return err
	}
	text, err := measure()
	if err != nil {
		return err
	}
	if *raw != "" {
		if err := os.WriteFile(*raw, text, 0o644); err != nil {
			return err
		}
	}
	m, err := parse(bytes.NewReader(text))
	if err != nil {
		return err
	}
	filled, err := fill(document, func(t table) string { return t.print(m) })
	if err != nil {
		return err
	}
	if *output == "" {
		_, err := os.Stdout.WriteString(filled)
		return err
	}
	return os.WriteFile(*output, []byte(filled), 0o644)
}

// prepare finds what is wrong with the arguments before minutes are spent on
// measuring, and returns the document to be filled.
func prepare() (document string, err error) {
	if flag.NArg() > 0 {
		return "", fmt.Errorf("%q is no flag", flag.Arg(0))
	}
	if *rounds < 1 {
		return "", errors.New("-rounds must be 1 or more")
	}
	times, isCount := strings.CutSuffix(*benchtime, "x")
	count, err := strconv.Atoi(times)
	if duration, durationErr := time.ParseDuration(*benchtime); (!isCount || err != nil || count < 1) && (durationErr != nil || duration <= 0) {
		return "", fmt.Errorf("-benchtime %q is neither a duration nor a number of times", *benchtime)
	}
	if *raw != "" {
		if err := os.WriteFile(*raw, nil, 0o644); err != nil {
			return "", err
		}
	}
	if *output == "" {
		for _, t := range tables {
			document += "## " + t.name + "\n\n" + t.begin() + "\n" + end + "\n\n"
		}
		return document, nil
	}
	text, err := os.ReadFile(*output)
	if err != nil {
		return "", err
	}
	_, err = fill(string(text), func(table) string { return "" })
	return string(text), err
}

// measure returns what the runs printed.
func measure() ([]byte, error) {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	build := exec.Command("go", "test", "-c", "-o", binary, "github.com/pagestate/pagestate/bench")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building the benchmarks: %w", err)
	}
	var out bytes.Buffer
	for round := range *rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, *rounds)
		// With one processor the collector's work counts as that of the benchmark,
		// as it does on a server that is busy.
		for _, args := range [][]string{
			{"-test.bench=.", "-test.skip=Throughput", "-test.cpu=1"},
			{"-test.bench=WarmUp|Throughput", "-test.cpu=1,2"},
		} {
			cmd := exec.Command(binary, append(args, "-test.run=^$", "-test.benchmem", "-test.benchtime="+*benchtime)...)
			cmd.Stdout, cmd.Stderr = &out, os.Stderr
			if err := cmd.Run(); err != nil {
				return nil, fmt.Errorf("running the benchmarks: %w\n%s", err, out.Bytes())
			}
		}
	}
	return out.Bytes(), nil
}

// measurements are figures by the full name of a benchmark and the unit, one for
// each round.
type measurements struct {
	figures map[string]map[string][]float64
	machine string
}

func parse(r io.Reader) (*measurements, error) {
	m := &measurements{figures: make(map[string]map[string][]float64)}
	reader := benchfmt.NewReader(r, "runs")
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		name := result.Name.String()
		if m.figures[name] == nil {
			m.figures[name] = make(map[string][]float64)
		}
		for _, v := range result.Values {
			m.figures[name][v.Unit] = append(m.figures[name][v.Unit], v.Value)
		}
		m.machine = strings.TrimSpace(result.GetConfig("cpu"))
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if len(m.figures) == 0 {
		return nil, errors.New("there are no results")
	}
	return m, nil
}

// environment says where and how the figures came about.
func environment(m *measurements) string {
	return fmt.Sprintf("Measured on %s with %s on %s/%s, %s, %d processors. Rounds: %d; a run: %s.\n",
		time.Now().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, m.machine, runtime.NumCPU(), *rounds, *benchtime)
}

// fill replaces what stands between the marks of each table.
func fill(document string, print func(table) string) (string, error) {
	for _, t := range tables {
		before, rest, ok := strings.Cut(document, t.begin())
		if !ok {
			return "", fmt.Errorf("the document has no %s", t.begin())
		}
		_, after, ok := strings.Cut(rest, end)
		if !ok {
			return "", fmt.Errorf("there is no %s behind %s", end, t.begin())
		}
		document = before + t.begin() + "\n" + print(t) + end + after
	}
	return document, nil
}
