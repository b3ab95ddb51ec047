package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Name  string   `yaml:"name"`
	Count int      `yaml:"count"`
	Wait  Duration `yaml:"wait"`
	Items []struct {
		ID string `yaml:"id"`
	} `yaml:"items"`
}

func TestDecodeReportsEveryMistakeWithItsLine(t *testing.T) {
	var s sample
	err := Decode("a.yaml", []byte("name: x\nnmae: y\ncount: many\nwait: -3s\nitems:\n  - idd: 1\n"), &s)
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("got %T %v", err, err)
	}
	lines := map[int]bool{}
	for _, p := range ps {
		lines[p.Line] = true
	}
	for _, want := range []int{2, 3, 4, 6} {
		if !lines[want] {
			t.Errorf("no mistake reported for line %d in:\n%v", want, err)
		}
	}
	if !strings.HasPrefix(err.Error(), "a.yaml:") {
		t.Errorf("no file name: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"second document": "name: a\n---\nname: b\n",
		"duplicate key":   "name: a\nname: b\n",
		"alias":           "name: &a x\nitems: []\n",
		"not YAML":        "name: [",
		"bomb":            "name: &a [x,x]\nitems: [*a,*a]\n",
	} {
		var s sample
		if err := Decode("f", []byte(text), &s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	var s sample
	if err := Decode("f", []byte("name: 掌上运维\nwait: 10m\n"), &s); err != nil || time.Duration(s.Wait) != 10*time.Minute {
		t.Errorf("good file: %v %+v", err, s)
	}
}

func TestReadHasALimit(t *testing.T) {
	p := filepath.Join(t.TempDir(), "big.yaml")
	for size, ok := range map[int]bool{MaxFile: true, MaxFile + 1: false} {
		if err := os.WriteFile(p, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(p); (err == nil) != ok {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := Load(p+"x", &sample{}); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestWeComFromEnv(t *testing.T) {
	for _, n := range []string{"WECOM_CORP_ID", "WECOM_AGENT_ID", "WECOM_CORP_SECRET", "WECOM_TOKEN", "WECOM_ENCODING_AES_KEY"} {
		t.Setenv(n, "")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "wecom.env")
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("wecom.env", "# local\nWECOM_CORP_ID=corp\nWECOM_AGENT_ID=7\nWECOM_CORP_SECRET='s=1'\nWECOM_TOKEN=t\n")
	_, err := WeComFromEnv(file)
	if err == nil || !strings.Contains(err.Error(), "WECOM_ENCODING_AES_KEY is not set") {
		t.Fatalf("missing key: %v", err)
	}
	t.Setenv("WECOM_ENCODING_AES_KEY_FILE", write("key", " abc\n"))
	t.Setenv("WECOM_TOKEN", "from the environment")
	w, err := WeComFromEnv(file)
	if err != nil || w.EncodingAESKey.Reveal() != "abc" || w.Token.Reveal() != "from the environment" || w.CorpSecret.Reveal() != "s=1" || w.AgentID != 7 {
		t.Fatalf("%v %+v", err, w)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", w, w, w, w.Token); strings.Contains(shown, "abc") || strings.Contains(shown, "s=1") {
		t.Errorf("secrets are shown: %s", shown)
	}
	t.Setenv("WECOM_ENCODING_AES_KEY", "too")
	if _, err := WeComFromEnv(file); err == nil {
		t.Error("both forms set is no error")
	}
}

func TestReadPrivateRefusesWhatOthersMayRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadPrivate(path); err != nil || string(data) != "secret" {
		t.Errorf("%q %v", data, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var ps Problems
		_, err := ReadPrivate(path)
		if !errors.As(err, &ps) || !strings.Contains(err.Error(), "mode must be 0600") || strings.Contains(err.Error(), "\"secret") {
			t.Errorf("%s: %v", mode, err)
		}
	}
	if _, err := ReadPrivate(path + "x"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}
