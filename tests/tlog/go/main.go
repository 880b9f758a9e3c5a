// Checks a ledger's transparency log with golang.org/x/mod/sumdb, the code that checks Go's own checksum database: note
// for the checkpoint's signature, tlog for tiles and proofs. Of its own it has the paths and the entry bundles alone.
//
//	client BASE VERIFIER-KEY OLD-SIZE [TOKEN]
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type client struct {
	base, token string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("wrong: ")
	c := client{base: os.Args[1]}
	if len(os.Args) > 4 {
		c.token = os.Args[4]
	}
	old, err := strconv.ParseInt(os.Args[3], 10, 64)
	check(err)
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	tree := open(c.fetch("/tlog/checkpoint", ""), verifier)
	// Holds every tile that it reads to the checkpoint.
	reader := tlog.TileHashReader(tree, c)
	records := c.records(tree.N)
	for index, record := range records {
		proof, err := tlog.ProveRecord(tree.N, int64(index), reader)
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), tlog.RecordHash(record)))
	}
	c.checkFile(verifier, tree.N, records[tree.N-1])
	oldRoot, err := tlog.TreeHash(old, reader)
	check(err)
	proof, err := tlog.ProveTree(tree.N, old, reader)
	check(err)
	check(tlog.CheckTree(proof, tree.N, tree.Hash, old, oldRoot))
	var served struct{ Path []tlog.Hash }
	check(json.Unmarshal(c.fetch(fmt.Sprintf("/tlog/consistency?from=%d&to=%d", old, tree.N), ""), &served))
	check(tlog.CheckTree(served.Path, tree.N, tree.Hash, old, oldRoot))
	fmt.Printf("%d records of %s, and the first %d before them\n", len(records), verifier.Name(), old)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func open(signed []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		log.Fatalf("a checkpoint of another log: %q", opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

// checkFile checks /events/{position}/proof, a C2SP tlog-proof.
func (c client) checkFile(verifier note.Verifier, position int64, record []byte) {
	head, signed, _ := strings.Cut(string(c.fetch(fmt.Sprintf("/events/%d/proof", position), c.token)), "\n\n")
	lines := strings.Split(head, "\n")
	extra := "extra " + base64.StdEncoding.EncodeToString(record)
	if lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != extra || lines[2] != fmt.Sprintf("index %d", position-1) {
		log.Fatalf("not the proof of event %d: %q", position, head)
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		proof = append(proof, hash)
	}
	tree := open([]byte(signed), verifier)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, position-1, tlog.RecordHash(record)))
}

func (c client) records(size int64) [][]byte {
	var records [][]byte
	for number := int64(0); number*256 < size; number++ {
		width := size - number*256
		if width > 256 {
			width = 256
		}
		path := tlog.Tile{H: height, L: 0, N: number, W: int(width)}.Path()
		bundle := c.fetch("/tlog/tile/entries"+strings.TrimPrefix(path, "tile/8/0"), c.token)
		for len(bundle) >= 2 {
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			records, bundle = append(records, bundle[2:end]), bundle[end:]
		}
	}
	if int64(len(records)) != size {
		log.Fatalf("%d records, not %d", len(records), size)
	}
	return records
}

func (c client) Height() int { return height }

func (c client) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles reads tile/8/L/N, which C2SP's tlog-tiles calls tile/L/N.
func (c client) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := "/tlog/tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		all = append(all, c.fetch(path, ""))
	}
	return all, nil
}

func (c client) fetch(path, token string) []byte {
	request, err := http.NewRequest("GET", c.base+path, nil)
	check(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	if answer.StatusCode != http.StatusOK {
		log.Fatalf("%s: %s: %s", path, answer.Status, body)
	}
	return body
}
