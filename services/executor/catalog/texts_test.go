package catalog

import (
	"testing"

	"palmops/libs/lang/langtest"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	langtest.Check(t, texts, ".")
}
