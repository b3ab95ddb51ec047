package credential

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"palmops/libs/fault"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestSecretsAreRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	var s Secrets
	for _, text := range []string{"first\n", " second ", "first", "\n"} {
		write(t, path, text, 0o600)
		if _, err := s.Read(path); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Read(""); got != "" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if got := s.Known(); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("%q", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + ".none"} {
		if _, err := s.Read(file); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestRoots(t *testing.T) {
	if roots, err := Roots(""); roots != nil || err != nil {
		t.Errorf("%v %v", roots, err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, "nothing", 0o644)
	for _, file := range []string{path, path + ".none"} {
		if _, err := Roots(file); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
