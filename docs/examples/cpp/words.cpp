/* SPDX-License-Identifier: Apache-2.0 */
/* words: processes that count words in one tree. Usage: words SOCKET [WORD...]
 *   Counts the words given, then prints what all have counted so far, in order. What a run makes on its way lies in a hold and is gone at its
 *   end; while it changes the tree it leases its root for itself. */
#include <mmgc/mmgc.hpp>

#include <cstdio>
#include <cstring>

namespace {

struct word {
    mmgc::ref<word> left, right;
    mmgc::ref<char> text;
    int64_t count;
};
struct tree { /* what has the name */
    mmgc::ref<word> top;
};
struct types {
    mmgc::type<tree> of_tree;
    mmgc::type<word> of_word;
    mmgc::array_type<char> of_text;
};

/* The text in small letters: made in the hold, since most words are there already. */
char *lower(mmgc::inside in, const types &types, const char *text)
{
    const std::size_t length = std::strlen(text);
    char *made = in.make(types.of_text, static_cast<uint32_t>(length) + 1);

    for (std::size_t i = 0; i < length; i++)
        made[i] = static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    return made;
}

/* The field where a word of this text is, or would be, and the object it is a field of. */
struct place {
    void *object;
    mmgc::ref<word> *field;
};
place find(mmgc::inside in, tree *root, const char *text)
{
    place at = {root, &root->top};

    while (word *here = in.get(*at.field)) {
        const int order = std::strcmp(text, in.get(here->text));
        if (order == 0)
            break;
        at = {here, order < 0 ? &here->left : &here->right};
    }
    return at;
}

void count(mmgc::inside in, const types &types, tree *root, const char *text)
{
    mmgc::hold hold(in); /* if anything below throws, all that was made goes */
    char *small = lower(in, types, text);
    const place at = find(in, root, small);

    if (word *known = in.get(*at.field)) {
        known->count++;
        return;
    }
    word *made = in.make(types.of_word);
    in.set(made, &word::text, small);
    made->count = 1;
    hold.end(made); /* the word and its text are the heap's now, side by side */
    in.set(at.object, *at.field, made);
}

void print(mmgc::inside in, const word *from)
{
    if (from == nullptr)
        return;
    print(in, in.get(from->left));
    std::printf("%s %lld\n", in.get(from->text), static_cast<long long>(from->count));
    print(in, in.get(from->right));
}

void run(const char *socket, int words, char **texts)
{
    mmgc_heap_options options = mmgc_heap_options();
    options.create = true;
    options.max_bytes = UINT64_C(16) << 20;
    mmgc::client client(socket, "words");
    mmgc::heap heap(client, "words", options);
    mmgc::thread thread(heap);
    const types types = {mmgc::define<tree>(heap, "tree", &tree::top),
                         mmgc::define<word>(heap, "word", &word::left, &word::right, &word::text), mmgc::bytes(heap)};

    mmgc::scope in(thread);
    tree *root = in.claim("tree", in.make(types.of_tree));
    mmgc::exclusive<tree> lease(in, root, std::chrono::minutes(1), "counting");
    for (int i = 0; i < words; i++)
        count(in, types, root, texts[i]);
    const mmgc::shared<tree> shared = std::move(lease).downgrade();
    print(in, in.get(shared->top));
}

} /* namespace */

int main(int argc, char **argv)
{
    try {
        run(argc > 1 ? argv[1] : nullptr, argc > 2 ? argc - 2 : 0, argv + 2);
    } catch (const mmgc::error &e) {
        std::fprintf(stderr, "words: %s\n", e.what());
        return 1;
    }
    return 0;
}
