package bus

import "testing"

// FuzzService: whoever can publish can answer a Find, with anything.
func FuzzService(f *testing.F) {
	f.Add([]byte(`{"name":"palmops-executor","id":"a","metadata":{"zone":"local","pool":"k8s"}}`))
	f.Add([]byte(`{"name":"other","id":"a"}`))
	f.Add([]byte(`{"metadata":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, ok := serviceOf(data, "palmops-executor"); ok && (s.ID == "" || s.Name != "palmops-executor") {
			t.Errorf("%q: %+v", data, s)
		}
	})
}
