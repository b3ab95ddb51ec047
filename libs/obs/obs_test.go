package obs

import (
	"bytes"
	"encoding/json"
	"testing"

	"go.uber.org/zap"
)

func TestLoggerWritesOneJSONObjectALine(t *testing.T) {
	var b bytes.Buffer
	log, err := NewLogger(&b, "info", true)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("unseen")
	log.Warn("refused", zap.String("reason", "signature\nforged"))
	var line map[string]any
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["reason"] != "signature\nforged" || line["level"] != "warn" || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Errorf("%v %s", err, b.String())
	}
	if _, err := NewLogger(&b, "loud", true); err == nil {
		t.Error("an unknown level is no error")
	}
}
