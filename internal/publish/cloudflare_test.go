package publish

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// cloudflareFake answers as https://developers.cloudflare.com/api/ documents zones and
// dns_records. A text of more than 255 bytes is split, as it says there.
type cloudflareFake struct {
	mu      sync.Mutex
	records []cloudflareFakeRecord
	last    int
	done    []string
	status  int
	code    string
}

type cloudflareFakeRecord struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int    `json:"ttl"`
	Proxied bool   `json:"proxied"`
}

const cloudflareZone = "023e105f4ecef8ad9ca31a8372d0c353"

func (f *cloudflareFake) put(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if target, ok := strings.CutPrefix(text, "CNAME "); ok {
		f.add("CNAME", name, target, 1)
		return
	}
	f.add("TXT", name, text, 300)
}

func (f *cloudflareFake) add(kind, name, content string, ttl int) cloudflareFakeRecord {
	f.last++
	r := cloudflareFakeRecord{ID: fmt.Sprintf("%032x", f.last), Type: kind, Name: name, Content: content, TTL: ttl}
	f.records = append(f.records, r)
	return r
}

func (f *cloudflareFake) texts(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, r := range f.records {
		if r.Name == name && r.Type == "TXT" {
			list = append(list, r.Content)
		}
	}
	slices.Sort(list)
	return list
}

func (f *cloudflareFake) steps() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := f.done
	f.done = nil
	return done
}

func (f *cloudflareFake) fail(status int, code string) { f.status, f.code = status, code }

func (f *cloudflareFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case f.status != 0:
		f.refuse(w, f.status, f.code)
		return
	case r.Header.Get("Authorization") != "Bearer "+secretText:
		f.refuse(w, http.StatusForbidden, "9109 Invalid access token")
		return
	case r.Host != "api.cloudflare.com":
		f.refuse(w, http.StatusNotFound, "7003 Could not route")
		return
	}
	path, query := strings.TrimPrefix(r.URL.Path, "/client/v4"), r.URL.Query()
	id := strings.TrimPrefix(path, "/zones/"+cloudflareZone+"/dns_records/")
	var in cloudflareFakeRecord
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			f.refuse(w, http.StatusBadRequest, "9207 Request body is invalid.")
			return
		}
		in.Content = cloudflareSplit(in.Content)
	}
	switch {
	case r.Method == http.MethodGet && path == "/zones":
		zones := []map[string]any{}
		if query.Get("name") == "example.com" {
			zones = append(zones, map[string]any{"id": cloudflareZone, "name": "example.com", "status": "active", "type": "full"})
		}
		f.answer(w, zones, len(zones), 1, 20)
	case r.Method == http.MethodGet && strings.HasSuffix(path, "/dns_records"):
		f.list(w, r)
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/dns_records"):
		name := in.Name + ".example.com"
		if in.Name == "@" {
			name = "example.com"
		}
		f.done = append(f.done, "POST "+name)
		f.answer(w, f.add(in.Type, name, in.Content, in.TTL), 1, 1, 1)
	case r.Method == http.MethodPatch:
		for i := range f.records {
			if f.records[i].ID == id {
				f.records[i].Content, f.records[i].TTL = in.Content, in.TTL
				f.done = append(f.done, "PATCH "+f.records[i].Name)
				f.answer(w, f.records[i], 1, 1, 1)
			}
		}
	case r.Method == http.MethodDelete:
		f.done = append(f.done, "DELETE "+id)
		f.records = slices.DeleteFunc(f.records, func(r cloudflareFakeRecord) bool { return r.ID == id })
		f.answer(w, map[string]string{"id": id}, 1, 1, 1)
	default:
		f.refuse(w, http.StatusNotFound, "7003 Could not route")
	}
}

func (f *cloudflareFake) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var found []cloudflareFakeRecord
	for _, rec := range f.records {
		if (query.Get("name") == "" || query.Get("name") == rec.Name) && (query.Get("type") == "" || query.Get("type") == rec.Type) &&
			strings.Contains(rec.Content, query.Get("content.contains")) {
			found = append(found, rec)
		}
	}
	page, _ := strconv.Atoi(query.Get("page"))
	size, _ := strconv.Atoi(query.Get("per_page"))
	page, size = max(page, 1), max(size, 1)
	from := min(len(found), (page-1)*size)
	f.answer(w, slices.Clone(found[from:min(len(found), from+size)]), len(found), page, size)
}

func (f *cloudflareFake) answer(w http.ResponseWriter, result any, total, page, size int) {
	_ = json.NewEncoder(w).Encode(map[string]any{
		"success": true, "errors": []any{}, "messages": []any{}, "result": result,
		"result_info": map[string]int{"page": page, "per_page": size, "count": total, "total_count": total},
	})
}

func (f *cloudflareFake) refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	if code == "" {
		fmt.Fprint(w, "<html>busy</html>")
		return
	}
	number, message, _ := strings.Cut(code, " ")
	n, _ := strconv.Atoi(number)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"success": false, "errors": []any{map[string]any{"code": n, "message": message}}, "messages": []any{}, "result": nil,
	})
}

func cloudflareSplit(content string) string {
	text, ok := unquoteAll(content)
	if !ok || len(text) <= 255 {
		return content
	}
	return `"` + text[:255] + `" "` + text[255:] + `"`
}

func openCloudflareFake(t *testing.T) (*Host, *cloudflareFake) {
	f := &cloudflareFake{}
	return mustOpen(t, Account{Provider: Cloudflare, Secret: NewSecret(secretText), Transport: serve(t, f)}), f
}

func cloudflareSpelled(text string) string { return cloudflareSplit(strconv.Quote(text)) }

func TestCloudflare(t *testing.T) {
	h, f := openCloudflareFake(t)
	publishes(t, h, f, cloudflareSpelled, "PATCH example.com")
	several(t, h, f, cloudflareSpelled)
	refuses(t, h, f, cloudflareSpelled)
}

// Records made long ago have no quotes.
func TestCloudflareUnquoted(t *testing.T) {
	h, f := openCloudflareFake(t)
	several(t, h, f, func(s string) string {
		if strings.Contains(s, " a mx ") {
			return cloudflareSpelled(s)
		}
		return s
	})
}

// A text may be there twice, spelled differently.
func TestCloudflareSameTextTwice(t *testing.T) {
	h, f := openCloudflareFake(t)
	const old, now = "v=spf1 mx -all", "v=spf1 a mx -all"
	f.put("example.com", cloudflareSpelled(old))
	f.put("example.com", `"v=spf1 " "mx -all"`)
	plan, err := h.Plan(t.Context(), "example.com", []Want{{Name: "example.com", Type: "TXT", Value: now, Replaces: []string{old}}})
	if err == nil {
		err = h.Apply(t.Context(), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "apex", f.texts("example.com"), []string{cloudflareSpelled(now)})
}

func TestCloudflareFails(t *testing.T) {
	h, f := openCloudflareFake(t)
	fails(t, h, f, []failure{
		{400, "6003 Invalid request headers", ErrLogin, "API token"},
		{401, "10000 Authentication error", ErrLogin, "Authentication error"},
		{403, "9109 Invalid access token", ErrLogin, "DNS:Edit"},
		{404, "7003 Could not route to /zones", nil, "7003"},
		{429, "971 Please wait", nil, "five minutes"},
		{500, "", nil, "500"},
		{502, "10000 " + secretText, nil, "(secret)"},
	})
	wrong := mustOpen(t, Account{Provider: Cloudflare, Secret: NewSecret("another"), Transport: serve(t, f)})
	fails(t, wrong, f, []failure{{0, "", ErrLogin, "Invalid access token"}})
}
