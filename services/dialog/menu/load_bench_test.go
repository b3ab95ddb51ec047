package menu_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// timed measures parts by turns, so that all of them meet the same machine.
type timed struct {
	name string
	call func()
	took []time.Duration
}

func (p *timed) run() {
	begin := time.Now()
	p.call()
	p.took = append(p.took, time.Since(begin))
}

// best is the fastest run: the one that the rest of the machine disturbed least.
func (p *timed) best() float64 { return float64(slices.Min(p.took)) }

func (p *timed) middle() float64 {
	slices.Sort(p.took)
	return float64(p.took[len(p.took)/2])
}

// BenchmarkLimitLoad is everything between 10,000 nodes on the disk and the first message that is answered from them:
// reading, building with the search ready, checking for phones, and joining with a policy. Its yardstick is the YAML
// library alone, which reads the same files on all processors.
func BenchmarkLimitLoad(b *testing.B) {
	dir := b.TempDir()
	files := large(10_000, kinds...)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	var grants strings.Builder
	grants.WriteString("version: 1\nroles: {all: {departments: [1]}}\ngrants:\n")
	for g := range 100 {
		fmt.Fprintf(&grants, "  - {role: all, menu: [group-%d], actions: [k8s.*], args: {namespace: [shop, pay]}}\n", g)
	}
	root := filepath.Join(dir, "menu.yaml")
	load := &timed{call: func() {
		read, err := menu.ReadFiles(root)
		if err != nil {
			b.Fatal(err)
		}
		m, err := menu.Build("menu.yaml", read, menu.BuildOptions{Dir: dir})
		if err != nil || m.Len() < 10_000 {
			b.Fatal(err)
		}
		menu.Check(m)
		p, err := policy.Parse("policy.yaml", []byte(grants.String()))
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Validate(m); err != nil {
			b.Fatal(err)
		}
		p.Bind(m)
	}}
	bare := &timed{call: func() {
		next := make(chan []byte)
		var work sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			work.Go(func() {
				for data := range next {
					var n yaml.Node
					if err := yaml.Load(data, &n); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for _, data := range files {
			next <- data
		}
		close(next)
		work.Wait()
	}}
	for b.Loop() {
		load.run()
		bare.run()
	}
	b.ReportMetric(load.best()/1e6, "load-ms")
	b.ReportMetric(load.middle()/1e6, "load-p50-ms")
	b.ReportMetric(bare.best()/1e6, "yaml-ms")
	b.ReportMetric(load.best()/bare.best(), "load-ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLimitSearch is the slowest of several searches over 10,000 nodes. Its yardstick looks for the same text in all
// titles and aliases and does nothing else.
func BenchmarkLimitSearch(b *testing.B) {
	m, err := menu.Build("menu.yaml", large(10_000, kinds...), menu.BuildOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var texts []string
	for _, id := range m.IDs() {
		n := m.Node(id)
		texts = append(append(texts, n.Title.ZH, n.Title.EN), n.Alias...)
	}
	found := 0
	seen := func(*menu.Node) bool { found++; return true }
	var parts []*timed
	for _, query := range []string{"tz", "kuorong", "pod 7", "事业部 查看", "sybckbs", "chakanbushu99", "e", "没有这个", "z q x w v y u t", "e o s i d n a l", "a", "kan"} {
		parts = append(parts, &timed{name: query, call: func() { m.Search(query, seen, 200) }})
	}
	bare := &timed{call: func() {
		for _, t := range texts {
			if strings.Contains(t, "kuorong") {
				found++
			}
		}
	}}
	for b.Loop() {
		for _, p := range parts {
			p.run()
		}
		bare.run()
	}
	slowest := slices.MaxFunc(parts, func(x, y *timed) int { return int(x.best() - y.best()) })
	b.Logf("the slowest is %q", slowest.name)
	b.ReportMetric(slowest.best()/1e6, "search-ms")
	b.ReportMetric(slowest.middle()/1e6, "search-p50-ms")
	b.ReportMetric(slowest.best()/bare.best(), "search-ratio")
	b.ReportMetric(0, "ns/op")
}
