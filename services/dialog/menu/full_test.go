package menu_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"palmops/services/dialog/menu"
)

// full is a menu with as many nodes, files and bytes as there may be.
func full() menu.Files {
	const parts = menu.MaxFiles - 1
	files := menu.Files{}
	root := top
	left := menu.MaxNodes - parts
	for p := range parts {
		root += fmt.Sprintf("  - {id: p%d, title: 部门 %d, items: {include: part%d.yaml}}\n", p, p, p)
		var b strings.Builder
		b.WriteString("version: 1\nitems:\n")
		n := left / (parts - p)
		for i := range n {
			fmt.Fprintf(&b, "  - {id: n%d-%d, title: 重启服务 %d, steps: [dynamic: {source: {zone: z, pool: p, action: k8s.list}}]}\n", p, i, i)
		}
		left -= n
		files[fmt.Sprintf("part%d.yaml", p)] = []byte(b.String())
	}
	files["menu.yaml"] = []byte(root)
	total := 0
	for data := range maps.Values(files) {
		total += len(data)
	}
	// Comments fill up what is left, in files that have room for it.
	for p := range parts {
		name := fmt.Sprintf("part%d.yaml", p)
		room := (menu.MaxTotal - total) / (parts - p)
		files[name] = append(files[name], []byte("#"+strings.Repeat("x", room-1))...)
		total += room
	}
	return files
}

func TestAFullMenu(t *testing.T) {
	files := full()
	total := 0
	for data := range maps.Values(files) {
		total += len(data)
	}
	if total != menu.MaxTotal {
		t.Fatalf("the files have %d bytes", total)
	}
	texts := map[string]string{}
	for name, data := range files {
		texts[name] = string(data)
	}
	path := folder(t, texts)
	m, err := menu.Load(path, menu.BuildOptions{})
	if err != nil || m.Len() != menu.MaxNodes {
		t.Fatalf("%.300v", err)
	}
	menu.Check(m)
	if found := m.Search("bumen198 cqfw7", nil, 10); len(found) == 0 || found[0].ID != "n198-7" {
		t.Errorf("found %d", len(found))
	}

	for what, want := range map[string]string{
		"a byte":  fmt.Sprintf("have %d bytes, the limit is %d", menu.MaxTotal+1, menu.MaxTotal),
		"a file":  fmt.Sprintf("has %d files, the limit is %d", menu.MaxFiles+1, menu.MaxFiles),
		"an item": fmt.Sprintf("more than %d nodes", menu.MaxNodes),
	} {
		t.Run(what+" more", func(t *testing.T) {
			more := maps.Clone(files)
			last := more["part0.yaml"]
			switch what {
			case "a byte":
				more["part0.yaml"] = append(last[:len(last):len(last)], '#')
			case "a file":
				more["more.yaml"] = nil
			case "an item": // in the place of as many bytes of the comment
				item := []byte("\n  - {id: more, title: t, open: tasks}\n")
				at := strings.IndexByte(string(last), '#')
				more["part0.yaml"] = append(append(last[:at:at], item...), last[at+len(item):]...)
				more["part0.yaml"][at+len(item)] = '#'
			}
			if m, err := menu.Build("menu.yaml", more, menu.BuildOptions{}); m != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%.300v, want %q", err, want)
			}
		})
	}
}
