package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palmops/libs/obs"
)

func TestTwoStacksDoNotShareAFolder(t *testing.T) {
	var first Options
	start(t, func(o *Options) { first = *o })
	first.Registry = obs.NewRegistry()
	if _, err := New(t.Context(), first); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second one started: %v", err)
	}
}

func TestAWrongConfigurationStartsNothing(t *testing.T) {
	config := t.TempDir()
	if err := os.CopyFS(config, os.DirFS(configDir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gateway.yaml", "simulator.yaml", "catalog.yaml", "menu.yaml", "policy.yaml"} {
		f, err := os.OpenFile(filepath.Join(config, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("\nno_such_key: 1\n"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(t.TempDir(), "data")
	_, err := New(t.Context(), Options{ConfigDir: config, DataDir: data, Log: testLog(t), Registry: obs.NewRegistry()})
	if err == nil {
		t.Fatal("it started")
	}
	for _, name := range []string{"gateway.yaml:", "simulator.yaml:", "catalog.yaml:", "menu.yaml:", "policy.yaml:"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("no mistake of %s in\n%v", name, err)
		}
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the data folder was made: a half start")
	}
}
