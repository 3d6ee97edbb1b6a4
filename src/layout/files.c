// SPDX-License-Identifier: Apache-2.0
#include "layout/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	// Layout files read from one directory; one per build, so some dozens.
	MAX_FILES = 1000,
};

static int is_layout_file(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 &&
	       !strcmp(entry->d_name + length - 5, ".json");
}

static struct etp_error *read_file(struct etp_layout_files *files, const char *directory,
                                   const char *name)
{
	struct etp_layout_file *grown =
		reallocarray(files->files, files->count + 1, sizeof(*grown));
	if (!grown)
		return &etp_error_no_memory;
	files->files = grown;
	struct etp_layout_file file = {0};
	if (asprintf(&file.path, "%s/%s", directory, name) < 0)
		return &etp_error_no_memory;
	file.name = file.path + strlen(directory) + 1;
	struct etp_error *err = etp_layout_from_file(file.path, &file.layout);
	if (err && err->kind != ETP_ERROR_NO_MEMORY) {
		// A damaged file must not hide the good one beside it.
		file.problem = strdup(err->message);
		etp_error_destroy(err);
		err = file.problem ? NULL : &etp_error_no_memory;
	}
	if (err) {
		free(file.path);
		// cppcheck-suppress memleak ; without memory for it there is no problem
		return err;
	}
	files->files[files->count++] = file;
	return NULL;
}

static struct etp_error *read_directory(struct etp_layout_files *files, const char *path,
                                        bool is_users)
{
	struct etp_layout_directory *grown =
		reallocarray(files->directories, files->directory_count + 1, sizeof(*grown));
	if (!grown)
		return &etp_error_no_memory;
	files->directories = grown;
	struct etp_layout_directory *directory = &grown[files->directory_count];
	*directory = (struct etp_layout_directory){
		.path = strdup(path),
		.first = files->count,
		.is_users = is_users,
	};
	if (!directory->path)
		return &etp_error_no_memory;
	files->directory_count++;
	struct dirent **entries;
	int count = scandir(path, &entries, is_layout_file, alphasort);
	struct etp_error *err = NULL;
	if (count < 0)
		directory->problem =
			errno == ENOENT ? "there is no such directory" : "it cannot be read";
	else if (!count)
		directory->problem = "no layout files (*.json)";
	for (int i = 0; i < count; i++) {
		if (!err && i < MAX_FILES)
			err = read_file(files, path, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	directory->left_out = count > MAX_FILES ? (size_t)count - MAX_FILES : 0;
	directory->end = files->count;
	return err;
}

// The user's own directory, or NULL if there is no home.
static struct etp_error *user_directory(char **ret)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int length = 0;
	*ret = NULL;
	// The XDG specification says to ignore relative paths.
	if (config && *config == '/')
		length = asprintf(ret, "%s/etp/layouts", config);
	else if (home && *home)
		length = asprintf(ret, "%s/.config/etp/layouts", home);
	if (length < 0) {
		*ret = NULL;
		return &etp_error_no_memory;
	}
	return NULL;
}

struct etp_error *etp_layout_files_init(struct etp_layout_files *files,
                                        const char *const *directories)
{
	*files = (struct etp_layout_files){0};
	char *user;
	struct etp_error *err = user_directory(&user);
	if (!err && user)
		err = read_directory(files, user, true);
	free(user);
	for (; !err && directories && *directories; directories++)
		err = read_directory(files, *directories, false);
	if (err)
		etp_layout_files_deinit(files);
	return err;
}

void etp_layout_files_deinit(struct etp_layout_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		etp_layout_destroy(files->files[i].layout);
		free(files->files[i].problem);
		free(files->files[i].path);
	}
	for (size_t i = 0; i < files->directory_count; i++)
		free(files->directories[i].path);
	free(files->files);
	free(files->directories);
	*files = (struct etp_layout_files){0};
}
