package kubernetes

import "testing"

// TestForeignTextCannotTurnALine: what pods and people write into a cluster is shown in the direction in which it stands there.
func TestForeignTextCannotTurnALine(t *testing.T) {
	t.Parallel()
	if got := quote("delete \u202e8-bew\u202c now"); got != "delete 8-bew now" {
		t.Errorf("%q", got)
	}
	if got := plain("a\u2066b\u202ec"); got != "abc" {
		t.Errorf("%q", got)
	}
}
