package callback

import (
	_ "embed"
	"sync"

	"palmops/libs/lang"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// maxTongues bounds the memory for languages: about a megabyte.
const maxTongues = 10000

// tongues remembers who reads another language than Chinese, from the replies that pass by, for the sentences that the
// gateway says when there is no reply. Whom it does not know reads Chinese.
type tongues struct {
	mu    sync.Mutex
	known map[string]lang.Tag
}

func tongueKey(corp, app, user string) string { return corp + "\x00" + app + "\x00" + user }

func (t *tongues) note(corp, app, user string, tag lang.Tag) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := tongueKey(corp, app, user)
	if tag == lang.Chinese {
		delete(t.known, key)
		return
	}
	if t.known == nil {
		t.known = map[string]lang.Tag{}
	}
	if _, there := t.known[key]; !there && len(t.known) >= maxTongues {
		for some := range t.known { // any one: it only costs a sentence in Chinese
			delete(t.known, some)
			break
		}
	}
	t.known[key] = tag
}

func (t *tongues) of(corp, app, user string) lang.Tag {
	t.mu.Lock()
	defer t.mu.Unlock()
	return lang.Of(string(t.known[tongueKey(corp, app, user)]))
}
