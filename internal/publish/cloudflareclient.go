package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 8 << 20

// cloudflareClient makes libdns's requests. libdns lists a whole zone to read one
// name, refuses to change one of several TXT records at a name, and doesn't find
// those of more than 255 bytes: what the context's narrow says mends these.
type cloudflareClient struct{ http *http.Client }

// narrowing is the key of a narrow in a context.
type narrowing struct{}

// narrow limits a list of records to those of a name, or to the one with a value.
type narrow struct {
	name  string
	value *string
}

type cloudflareRecord map[string]json.RawMessage

func (r cloudflareRecord) content() string {
	var s string
	_ = json.Unmarshal(r["content"], &s) // not a text: no match
	return s
}

// Do makes one request.
func (c *cloudflareClient) Do(req *http.Request) (*http.Response, error) {
	to, _ := req.Context().Value(narrowing{}).(narrow)
	listing := req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/dns_records")
	if listing {
		query := req.URL.Query()
		if to.name != "" {
			query.Set("name", to.name)
		}
		query.Del("content.contains")
		query.Set("per_page", "100")
		req.URL.RawQuery = query.Encode()
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if err := cloudflareRefusal(res, body); err != nil {
		return nil, err
	}
	if listing && to.value != nil {
		if body, err = narrowed(body, *to.value); err != nil {
			return nil, err
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// narrowed is a list with one record that has the value, spelled as libdns looks for
// it.
func narrowed(body []byte, text string) ([]byte, error) {
	var answer map[string]json.RawMessage
	var records []cloudflareRecord
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("the answer of Cloudflare: %w", err)
	}
	if err := json.Unmarshal(answer["result"], &records); err != nil {
		return nil, fmt.Errorf("the answer of Cloudflare: %w", err)
	}
	records = only(records, text)
	if len(records) == 0 {
		return nil, fmt.Errorf("%w: no record has the value that is to go any more", ErrChanged)
	}
	records = records[:1]
	var err error
	if records[0]["content"], err = json.Marshal(spelled(text)); err != nil {
		return nil, err
	}
	if answer["result"], err = json.Marshal(records); err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// cloudflareRefusal says what an answer that isn't one means.
func cloudflareRefusal(res *http.Response, body []byte) error {
	if res.StatusCode < 400 {
		return nil
	}
	var answer struct {
		Errors []struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(body, &answer) // without a reason the status must do
	reason, malformed := res.Status, false
	for _, e := range answer.Errors {
		reason += fmt.Sprintf("; %d %s", e.Code, e.Message)
		malformed = malformed || e.Code == 6003 // invalid request headers: no token of theirs
	}
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden, malformed:
		return fmt.Errorf("%w: the API token is unknown, expired, or lacks Zone:Read and DNS:Edit for the zone (Cloudflare: %s)", ErrLogin, reason)
	case res.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("too many requests for Cloudflare (%s): try again in five minutes", reason)
	}
	return fmt.Errorf("refused by Cloudflare: %s", reason)
}
