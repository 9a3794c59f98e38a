// SPDX-License-Identifier: Apache-2.0
import java.io.File;
import java.util.StringJoiner;
import org.netbeans.lib.profiler.heap.GCRoot;
import org.netbeans.lib.profiler.heap.Heap;
import org.netbeans.lib.profiler.heap.HeapFactory;
import org.netbeans.lib.profiler.heap.Instance;
import org.netbeans.lib.profiler.heap.JavaClass;
import org.netbeans.lib.profiler.heap.PrimitiveArrayInstance;

/** What the parser of NetBeans and VisualVM finds in a dump: objects and bytes by class, and some of its roots. The last line is JSON. */
class HeapFacts {
    static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    static String textOf(Instance string) {
        StringBuilder text = new StringBuilder();
        for (Object value : ((PrimitiveArrayInstance) string.getValueOfField("value")).getValues())
            text.append((char) Byte.parseByte(value.toString()));
        return text.toString();
    }

    public static void main(String[] words) throws Exception {
        Heap heap = HeapFactory.createFastHeap(new File(words[0]));
        StringJoiner classes = new StringJoiner(",", "{", "}");
        for (Object each : heap.getAllClasses()) {
            JavaClass found = (JavaClass) each;
            long bytes = 0, objects = 0;
            for (Object instance : found.getInstances()) {
                objects++;
                bytes += ((Instance) instance).getSize();
            }
            classes.add(quoted(found.getName()) + ":{\"objects\":" + objects + ",\"bytes\":" + bytes + "}");
        }
        String global = "", thread = "";
        for (Object each : heap.getGCRoots()) {
            GCRoot root = (GCRoot) each;
            if (root.getKind().equals(GCRoot.JNI_GLOBAL))
                global = root.getInstance().getJavaClass().getName();
            if (root.getKind().equals(GCRoot.THREAD_OBJECT))
                thread = textOf((Instance) root.getInstance().getValueOfField("name"));
        }
        Instance named = (Instance) heap.getJavaClassByName("mmgc.Names").getValueOfStaticField("list");
        System.out.println("{\"classes\":" + classes + ",\"named\":" + quoted(named.getJavaClass().getName()) + ",\"global\":" + quoted(global)
            + ",\"thread\":" + quoted(thread) + "}");
    }
}
