package menu_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/services/dialog/menu"
)

// folder writes files into a new folder and gives the path of its menu.yaml.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "menu.yaml")
}

const top = "version: 1\ntitle: t\nitems:\n"

// leaf is an item that does no harm.
func leaf(id string) string { return "  - {id: " + id + ", title: t, open: tasks}\n" }

func TestIncludes(t *testing.T) {
	path := folder(t, map[string]string{
		"menu.yaml": top + leaf("first") + "  - include: teams/retail.yaml\n  - {id: list, title: t, items: {include: list.yml}}\n" + leaf("last"),
		"list.yml":  "version: 1\nitems: {include: teams/deep/more.yaml}\n",
		"teams/retail.yaml": "version: 1\nitems:\n" + leaf("retail-1") + `
  - id: asks
    title: t
    steps: [input: {param: ns, type: text}]
    items: [include: deep/below.yaml]
`,
		"teams/deep/below.yaml": "version: 1\nitems:\n  - {id: below, title: t, when: ns == \"x\", open: tasks}\n",
		"teams/deep/more.yaml":  "version: 1\nitems:\n" + leaf("more"),
		"not-included.yaml":     "[",
	})
	files, err := menu.ReadFiles(path)
	if err != nil || len(files) != 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	m, err := menu.Load(path, menu.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, n := range m.Root.Items {
		order = append(order, n.ID)
	}
	if diff := cmp.Diff([]string{"first", "retail-1", "asks", "list", "last"}, order); diff != "" {
		t.Error(diff)
	}
	below := m.Node("below")
	if below == nil || below.File != filepath.Join(filepath.Dir(path), "teams/deep/below.yaml") || below.Line != 3 || len(below.Params) != 1 || below.Index != 4 {
		t.Errorf("got %+v", below)
	}
	if m.Node("last").File != path || m.Node("more").Parent.ID != "list" {
		t.Error("places are wrong behind an include")
	}
	built, err := menu.Build("menu.yaml", files, menu.BuildOptions{Dir: "elsewhere"})
	if err != nil || built.Rev != m.Rev || built.Node("below").File != "elsewhere/teams/deep/below.yaml" {
		t.Errorf("built from the files: %v, revision %s and %s", err, built.Rev, m.Rev)
	}
}

func TestNothingOutsideTheFolderIsRead(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(outside, []byte("version: 1\nitems:\n"+leaf("secret")), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		include string
		prepare func(dir string) error
		want    string
	}{
		"absolute":       {outside, nil, "include must be the path"},
		"up":             {"../secret.yaml", nil, "include must be the path"},
		"up in between":  {"a/../../secret.yaml", nil, "include must be the path"},
		"windows":        {`a\secret.yaml`, nil, "include must be the path"},
		"drive":          {"c:secret.yaml", nil, "include must be the path"},
		"missing":        {"none.yaml", nil, "there is no file none.yaml"},
		"symlink out":    {"link.yaml", func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "link.yaml")) }, "link.yaml: path escapes"},
		"symlink folder": {"link/secret.yaml", func(dir string) error { return os.Symlink(filepath.Dir(outside), filepath.Join(dir, "link")) }, "path escapes"},
		"symlink loop":   {"link.yaml", func(dir string) error { return os.Symlink("link.yaml", filepath.Join(dir, "link.yaml")) }, "link.yaml: too many levels"},
		"folder":         {"sub.yaml", func(dir string) error { return os.Mkdir(filepath.Join(dir, "sub.yaml"), 0o755) }, "sub.yaml: it is not a file"},
		"pipe":           {"pipe.yaml", func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600) }, "pipe.yaml: it is not a file"},
		"too large": {"big.yaml", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "big.yaml"), make([]byte, conf.MaxFile+1), 0o600)
		}, "big.yaml: it is larger"},
	} {
		t.Run(name, func(t *testing.T) {
			path := folder(t, map[string]string{"menu.yaml": top + leaf("a") + "  - include: '" + c.include + "'\n"})
			if c.prepare != nil {
				if err := c.prepare(filepath.Dir(path)); err != nil {
					t.Fatal(err)
				}
			}
			m, err := menu.Load(path, menu.BuildOptions{})
			var ps conf.Problems
			if m != nil || !errors.As(err, &ps) || len(ps) != 1 || ps[0].File != path || ps[0].Line != 5 || !strings.Contains(ps[0].Text, c.want) {
				t.Fatalf("got %v, want line 5 and %q", err, c.want)
			}
			if files, err := menu.ReadFiles(path); err == nil && len(files) != 1 {
				t.Errorf("read %d files", len(files))
			}
		})
	}
}

func TestASymlinkInsideIsFollowed(t *testing.T) {
	// Mounted configuration of Kubernetes looks like this.
	path := folder(t, map[string]string{"..data/menu.yaml": top + "  - include: part.yaml\n", "..data/part.yaml": "version: 1\nitems:\n" + leaf("a")})
	for _, name := range []string{"menu.yaml", "part.yaml"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(filepath.Dir(path), name)); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := menu.Load(path, menu.BuildOptions{}); err != nil || m.Node("a") == nil {
		t.Errorf("got %v", err)
	}
}

func TestMistakesInAllFilesAreReportedAtOnce(t *testing.T) {
	path := folder(t, map[string]string{
		"menu.yaml": top + "  - include: gone.yaml\n  - include: a.yaml\n  - {id: x}\n",
		"a.yaml":    "version: 1\nitems: [include: b.yaml, include: gone.yaml]\n",
		"b.yaml":    "version: 2\nitems: [1]\n",
	})
	_, err := menu.Load(path, menu.BuildOptions{})
	if err == nil {
		t.Fatal("no error")
	}
	text := strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", "")
	for _, want := range []string{"menu.yaml:4: include: there is no file gone.yaml", "menu.yaml:6: an item needs the key title", "b.yaml:1: version is 2"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("want %q once in\n%s", want, text)
		}
	}
}

func TestAMissingFileIsAProblemOfThatFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	for _, load := range []func() error{
		func() error { _, err := menu.Load(path, menu.BuildOptions{}); return err },
		func() error { _, err := menu.ReadFiles(path); return err },
		func() error {
			_, err := menu.Build("none.yaml", nil, menu.BuildOptions{Dir: filepath.Dir(path)})
			return err
		},
	} {
		if err := load(); err == nil || !strings.HasPrefix(err.Error(), path+": ") || !fault.Is(err, fault.Invalid) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCountAndSizeOfFiles(t *testing.T) {
	set := func(n, size int) map[string]string {
		files := map[string]string{}
		var root strings.Builder
		root.WriteString(top)
		for i := range n - 1 {
			name := fmt.Sprintf("f%d.yaml", i)
			root.WriteString("  - include: " + name + "\n")
			part := "version: 1\nitems:\n" + leaf(fmt.Sprintf("n%d", i)) + "# "
			files[name] = part + strings.Repeat("x", max(0, size-len(part)))
		}
		files["menu.yaml"] = root.String()
		return files
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string // "" when it is accepted
	}{
		"as many files as may be": {set(menu.MaxFiles, 0), ""},
		"one file more":           {set(menu.MaxFiles+1, 0), "more than 200 files"},
		"large":                   {set(8, conf.MaxFile), ""},
		"too large":               {set(9, conf.MaxFile), "more than 8388608 bytes"},
		"one file too large":      {set(2, conf.MaxFile+1), "larger than a menu file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := folder(t, c.files)
			_, err := menu.Load(path, menu.BuildOptions{})
			_, readErr := menu.ReadFiles(path)
			if c.want == "" && (err != nil || readErr != nil) || c.want != "" && (err == nil || readErr == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %.300v and %.300v, want %q", err, readErr, c.want)
			}
			files := menu.Files{}
			for n, text := range c.files {
				files[n] = []byte(text)
			}
			if _, err := menu.Build("menu.yaml", files, menu.BuildOptions{}); (err == nil) != (c.want == "") {
				t.Errorf("built: %.300v", err)
			}
		})
	}
}
