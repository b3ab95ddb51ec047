package mask

import (
	"fmt"
	"strings"
	"testing"

	"palmops/services/executor/internal/kind"
)

// BenchmarkText is the longest output there is, with ten secrets and a hit now and then.
func BenchmarkText(b *testing.B) {
	var secrets []string
	for i := range 10 {
		secrets = append(secrets, fmt.Sprintf("s3cret/%d+value&more", i))
	}
	m := New(secrets, nil)
	var text strings.Builder
	for i := 0; text.Len() < kind.MaxOutput; i++ {
		fmt.Fprintf(&text, "2026-11-23T21:00:00.123Z level=info caller=shop/web.go:%d msg=\"订单已完成\" order=%d user=u%d took=12ms\n", i%900, i, i%77)
		if i%1000 == 0 {
			fmt.Fprintln(&text, "connect with", secrets[i/1000%10], "password=abc")
		}
	}
	s := text.String()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		m.Text(s)
	}
}
