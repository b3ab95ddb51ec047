package command

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"palmops/services/palmops/internal/outsidetest"
)

// BenchmarkResident is the memory of `palmops run`, everything in one process, after 10,000 messages of four people.
func BenchmarkResident(b *testing.B) {
	const messages = 10_000
	for b.Loop() {
		w := newWhole(b, "REDIS_URL=")
		idle := resident(b, w.proc.cmd.Process.Pid)
		callback := w.proc.find(`callback +(http://\S+)`)
		var wg sync.WaitGroup
		for _, user := range []string{"zhangsan", "lisi", "wangwu", "outsider"} {
			wg.Go(func() {
				c := outsidetest.New(b, callback, filepath.Join(localConfig, "wecom.env"))
				defer c.Close()
				said := []string{"菜单", "1", "1", "0", "?", "00", "9", "#"}
				for i := range messages / 4 {
					plain, _ := c.Typed(user, said[i%len(said)])
					if _, err := c.Post(b.Context(), plain); err != nil {
						b.Errorf("message %d of %s: %v", i, user, err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(idle, "idle-MB")
		b.ReportMetric(resident(b, w.proc.cmd.Process.Pid), "resident-MB")
		b.ReportMetric(0, "ns/op")
	}
}

var rss = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

func resident(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	kb, err := strconv.ParseFloat(string(rss.FindSubmatch(status)[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
