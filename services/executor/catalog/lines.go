package catalog

import (
	"strconv"

	"go.yaml.in/yaml/v4"
)

// lines finds the line of a value in a document by its path of keys; a number is a place in a list, from 0.
type lines struct{ root yaml.Node }

func newLines(data []byte) (*lines, error) {
	l := &lines{}
	err := yaml.Load(data, &l.root)
	return l, err
}

// of is the line of the key at the end of the path, or of the last part of the path that exists; 0 for an empty document.
func (l *lines) of(path ...string) int {
	n := &l.root
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	line := n.Line
	for _, key := range path {
		if i, err := strconv.Atoi(key); err == nil && n.Kind == yaml.SequenceNode && i >= 0 && i < len(n.Content) {
			n = n.Content[i]
			line = n.Line
			continue
		}
		if n.Kind != yaml.MappingNode {
			break
		}
		found := false
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				line, n, found = n.Content[i].Line, n.Content[i+1], true
				break
			}
		}
		if !found {
			break
		}
	}
	return line
}
