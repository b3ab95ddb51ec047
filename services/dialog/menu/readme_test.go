package menu_test

import (
	"os"
	"strings"
	"testing"
)

// The examples of the README are menus, and say true things.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(text), "```yaml\n")[1:]
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		yaml, _, _ := strings.Cut(e, "```")
		if _, err := one(yaml); err != nil {
			t.Errorf("%v\n%s", err, yaml)
		}
	}
	if _, expression, ok := strings.Cut(string(text), "\n    weekday"); ok {
		expression, _, _ = strings.Cut(expression, "\n")
		if _, err := conditional("weekday" + expression); err != nil {
			t.Error(err)
		}
	} else {
		t.Error("the condition is gone")
	}
}
