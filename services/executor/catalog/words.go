package catalog

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"palmops/libs/lang"
)

// Words is one text, or a text in each language: {zh: …, en: …}.
type Words lang.Words

// UnmarshalYAML reads a text alone as the Chinese one.
func (w *Words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		w.ZH = n.Value
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("a text, or {zh: a text, en: a text}, is needed")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch {
		case value.Kind != yaml.ScalarNode:
			return fmt.Errorf("%s must be a text", key)
		case key == string(lang.Chinese):
			w.ZH = value.Value
		case key == string(lang.English):
			w.EN = value.Value
		default:
			return fmt.Errorf("there is no language %q; there are zh and en", key)
		}
	}
	return nil
}
