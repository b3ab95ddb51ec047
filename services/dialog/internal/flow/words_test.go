package flow_test

import (
	"os"
	"testing"

	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
)

func TestWords(t *testing.T) {
	file, err := os.ReadFile("texts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	langtest.Check(t, lang.MustLoad(file), ".")
}
