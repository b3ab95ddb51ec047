package command

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckTakesTheSamples: each is whole, and a phone shows it well.
func TestCheckTakesTheSamples(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("../../../../deployments/config/samples/*/catalog.yaml")
	if err != nil || len(found) < 7 {
		t.Fatalf("%q %v", found, err)
	}
	for _, catalog := range found {
		if out := fine(t, "", "check", "--strict", "--config", filepath.Dir(catalog)); !strings.HasSuffix(out, " 0 warnings\n") {
			t.Errorf("%s: %s", catalog, out)
		}
	}
}
