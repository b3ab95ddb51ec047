package app

import (
	"path/filepath"
	"testing"

	"palmops/services/executor/catalog"
)

// TestSamples: there is one for every kind but the drill, which the local catalog has, and each is a catalog that uses its kind.
func TestSamples(t *testing.T) {
	t.Parallel()
	const dir = "../../../deployments/config/samples"
	for _, spec := range Kinds() {
		if spec.Name == "drill" {
			continue
		}
		file := filepath.Join(dir, spec.Name, "catalog.yaml")
		c, err := catalog.Load(file, Kinds())
		if err != nil {
			t.Error(err)
			continue
		}
		used := 0
		for _, a := range c.Actions() {
			if a.Kind == spec.Name {
				used++
			}
			if a.Class == catalog.Change && a.Env == "" {
				t.Errorf("%s:%d: %s changes something and names no environment, so no lock keeps it out", file, a.Line, a.Name)
			}
		}
		if used == 0 {
			t.Errorf("%s has no action of its kind", file)
		}
	}
}
