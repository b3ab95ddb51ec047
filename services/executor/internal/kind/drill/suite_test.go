package drill

import (
	"testing"

	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/kind/kindtest"
)

func TestPromises(t *testing.T) {
	run := catalog.Action{Name: "drill.run", Kind: Name, Verb: verbRun, Class: catalog.Change, Params: []catalog.Param{
		{Name: "seconds", Type: catalog.TypeInt, Optional: true}, {Name: "lines", Type: catalog.TypeInt, Optional: true},
	}}
	kindtest.Run(t, kindtest.Subject{
		New: func(*testing.T) kind.Kind { return New() },
		Change: func(*testing.T) (catalog.Action, map[string]any) {
			return run, map[string]any{"lines": int64(3)}
		},
		Slow: func(*testing.T) (catalog.Action, map[string]any) {
			return run, map[string]any{"seconds": int64(MaxSeconds)}
		},
		Bad: map[string]map[string]any{"a text": {"seconds": "5"}},
		Absent: map[string]string{
			"Refused": "there is no state to read", "Verbose": "at most 20,000 lines", "Leaky": "there are no secrets", "Down": "there is no target",
		},
	})
}
