package rules_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/services/dialog/internal/revision"
	"palmops/services/dialog/internal/session/sessiontest"
	"palmops/services/dialog/menu"
)

// A menu within the limits of its language, whose files cannot be made as small as a revision must be.
func TestARevisionThatCannotBeStoredChangesNothing(t *testing.T) {
	r := newReplica(t, newStore(t), "one")
	r.start()
	random := rand.NewChaCha8([32]byte{})
	noise := make([]byte, conf.MaxFile/2-1000)
	root := "version: 1\ntitle: two\nitems:\n"
	for i := range 3 {
		_, _ = random.Read(noise) // never fails
		name := fmt.Sprintf("part%d.yaml", i)
		r.write(name, fmt.Sprintf("version: 1\nitems: [{id: p%d, title: a, open: tasks}]\n# %s\n", i, hex.EncodeToString(noise)))
		root += "  - include: " + name + "\n"
	}
	root += "  - {id: a, title: a, open: tasks}\n"
	r.write("menu.yaml", root)
	if _, err := menu.Load(r.dir+"/menu.yaml", menu.BuildOptions{}); err != nil {
		t.Fatal("the menu itself is in order:", err)
	}

	sessiontest.Wait(t, "the refusal to be logged", func(context.Context) bool { return r.logs.Len() == 1 })
	err := r.Reload(t.Context())
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), fmt.Sprintf("the limit is %d", revision.MaxStored)) {
		t.Errorf("reload: %v", err)
	}
	if r.title() != "one" || r.gauge() != 0 {
		t.Errorf("menu %s, gauge %v", r.title(), r.gauge())
	}
	list, err := r.store.List(t.Context(), revision.Menu)
	if err != nil || len(list) != 1 || !list[0].Current {
		t.Errorf("stored are %+v, %v", list, err)
	}

	r.write("menu.yaml", menuText("three"))
	r.awaits("three")
	if r.gauge() != 1 {
		t.Error("the gauge stays down")
	}
}
