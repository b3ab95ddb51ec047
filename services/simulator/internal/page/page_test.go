package page_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"palmops/services/simulator/internal/page"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	page.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

func TestHeaders(t *testing.T) {
	for path, kind := range map[string]string{"/": "text/html", "/phone.js": "text/javascript", "/phone.css": "text/css", "/icon.svg": "image/svg+xml"} {
		rec := get(t, path)
		if rec.Code != http.StatusOK || !strings.HasPrefix(rec.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Header().Get("Content-Type"))
		}
		csp := rec.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'self';") || strings.Contains(csp, "unsafe") || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, rec.Header())
		}
	}
	if rec := get(t, "/nothing"); rec.Code != http.StatusNotFound {
		t.Errorf("%d", rec.Code)
	}
	rec := httptest.NewRecorder()
	page.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("%d", rec.Code)
	}
}

// Nothing on the page comes from elsewhere, and nothing turns text into markup or code.
func TestAssets(t *testing.T) {
	outside := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|url\(|@import|data:`)
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(['"]`)
	inline := regexp.MustCompile(`(?i)<style|<script>|\son[a-z]+=|\sstyle=`)
	read := 0
	err := fs.WalkDir(os.DirFS("static"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		read++
		body := get(t, "/"+strings.TrimSuffix(path, "index.html")).Body.String()
		if body == "" {
			t.Errorf("%s is empty", path)
		}
		body = strings.ReplaceAll(body, `xmlns="http://www.w3.org/2000/svg"`, "") // a name, never fetched
		for what, re := range map[string]*regexp.Regexp{"an address outside": outside, "markup from text": markup} {
			if hit := re.FindString(body); hit != "" {
				t.Errorf("%s has %s: %q", path, what, hit)
			}
		}
		if hit := inline.FindString(body); hit != "" && strings.HasSuffix(path, ".html") {
			t.Errorf("%s has something inline that the policy forbids: %q", path, hit)
		}
		return nil
	})
	if err != nil || read != 4 {
		t.Errorf("%d files, %v", read, err)
	}
}
