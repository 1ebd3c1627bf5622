// Reads a zip file given as argument, and writes its member's name and content.
package main

import (
	"archive/zip"
	"io"
	"os"
)

func main() {
	archive, err := zip.OpenReader(os.Args[1])
	if err != nil || len(archive.File) != 1 {
		panic(err)
	}
	member, err := archive.File[0].Open()
	if err != nil {
		panic(err)
	}
	os.Stderr.WriteString(archive.File[0].Name)
	if _, err = io.Copy(os.Stdout, member); err != nil {
		panic(err)
	}
}
